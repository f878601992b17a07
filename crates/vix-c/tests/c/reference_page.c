/*
 * reference_page.c: what the reference page of VixVM_Clone shows, done in every way that clients do
 * it: connect, open a VM, clone it, power the clone on.
 *
 * reference_page WAY VMX CLONE
 *
 * WAY is
 *   wait      by VixJob_Wait; a linked clone of the present state
 *   gui       the same; the clone is to have a window
 *   poll      asking VixJob_CheckCompletion
 *   callback  by procedures that are called, without waiting for any job
 *   both      by procedures, and waiting for each job
 *   named     a linked clone of the snapshot `golden`
 *   tree      the same, the snapshot found by walking the tree
 *   full      a full clone
 */
#define _POSIX_C_SOURCE 200809L

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "vix.h"

/* What is to be done. */
static const char *vmxPath;
static const char *clonePath;
static int powerOnOptions = VIX_VMPOWEROP_NORMAL;

/* What has been made so far. */
static VixHandle hostHandle = VIX_INVALID_HANDLE;
static VixHandle vmHandle = VIX_INVALID_HANDLE;
static VixHandle cloneHandle = VIX_INVALID_HANDLE;

/* Tells an error; returns whether there was one. */
static int failed(const char *what, VixError err)
{
    if (VIX_FAILED(err)) {
        printf("%s: error %d, %s\n", what, (int)VIX_ERROR_CODE(err), Vix_GetErrorText(err, NULL));
    }
    return VIX_FAILED(err);
}

/* ---- Waiting and polling ---- */

/* Ends a job by waiting for it; stores what it made where `made` is given. */
static VixError waitFor(VixHandle job, VixHandle *made)
{
    VixError err;
    if (made == NULL) {
        err = VixJob_Wait(job, VIX_PROPERTY_NONE);
    } else {
        err = VixJob_Wait(job, VIX_PROPERTY_JOB_RESULT_HANDLE, made, VIX_PROPERTY_NONE);
    }
    Vix_ReleaseHandle(job);
    return err;
}

/* The same by asking. */
static VixError pollFor(VixHandle job, VixHandle *made)
{
    Bool complete = FALSE;
    VixError err = VixJob_CheckCompletion(job, &complete);
    while (VIX_SUCCEEDED(err) && !complete) {
        poll(NULL, 0, 5);
        err = VixJob_CheckCompletion(job, &complete);
    }
    if (VIX_SUCCEEDED(err)) {
        err = VixJob_GetError(job);
    }
    if (VIX_SUCCEEDED(err) && made != NULL) {
        err = Vix_GetProperties(job, VIX_PROPERTY_JOB_RESULT_HANDLE, made, VIX_PROPERTY_NONE);
    }
    Vix_ReleaseHandle(job);
    return err;
}

typedef VixError Finish(VixHandle job, VixHandle *made);

/* Finds a snapshot by looking at all of them. */
static VixError findInTree(VixHandle parent, const char *name, VixHandle *found)
{
    int count = 0;
    int i;
    VixError err = VixSnapshot_GetNumChildren(parent, &count);
    for (i = 0; VIX_SUCCEEDED(err) && *found == VIX_INVALID_HANDLE && i < count; i++) {
        VixHandle child = VIX_INVALID_HANDLE;
        char *childName = NULL;
        err = VixSnapshot_GetChild(parent, i, &child);
        if (VIX_SUCCEEDED(err)) {
            err = Vix_GetProperties(child, VIX_PROPERTY_SNAPSHOT_DISPLAYNAME, &childName,
                                    VIX_PROPERTY_NONE);
        }
        if (VIX_SUCCEEDED(err) && strcmp(childName, name) == 0) {
            Vix_AddRefHandle(child);
            *found = child;
        } else if (VIX_SUCCEEDED(err)) {
            err = findInTree(child, name, found);
        }
        Vix_FreeBuffer(childName);
        Vix_ReleaseHandle(child);
    }
    return err;
}

/* Finds the snapshot `golden` in the way that is asked for. */
static VixError findSnapshot(const char *way, VixHandle *snapshot)
{
    VixHandle root = VIX_INVALID_HANDLE;
    VixError err = VIX_OK;
    if (strcmp(way, "named") == 0) {
        return VixVM_GetNamedSnapshot(vmHandle, "golden", snapshot);
    }
    if (strcmp(way, "tree") == 0) {
        err = VixVM_GetRootSnapshot(vmHandle, 0, &root);
        if (VIX_SUCCEEDED(err)) {
            err = findInTree(root, "golden", snapshot);
        }
        Vix_ReleaseHandle(root);
    }
    return err;
}

static VixError stepByStep(const char *way, Finish *finish)
{
    VixCloneType type = strcmp(way, "full") == 0 ? VIX_CLONETYPE_FULL : VIX_CLONETYPE_LINKED;
    VixHandle snapshot = VIX_INVALID_HANDLE;
    VixError err;

    err = finish(VixHost_Connect(VIX_API_VERSION, VIX_SERVICEPROVIDER_VMWARE_WORKSTATION, NULL, 0,
                                 NULL, NULL, 0, VIX_INVALID_HANDLE, NULL, NULL),
                 &hostHandle);
    if (failed("connect", err)) {
        return err;
    }
    err = finish(VixVM_Open(hostHandle, vmxPath, NULL, NULL), &vmHandle);
    if (failed("open", err)) {
        return err;
    }
    err = findSnapshot(way, &snapshot);
    if (failed("find the snapshot", err)) {
        return err;
    }
    err = finish(VixVM_Clone(vmHandle, snapshot, type, clonePath, 0, VIX_INVALID_HANDLE, NULL, NULL),
                 &cloneHandle);
    Vix_ReleaseHandle(snapshot);
    if (failed("clone", err)) {
        return err;
    }
    err = finish(VixVM_PowerOn(cloneHandle, powerOnOptions, VIX_INVALID_HANDLE, NULL, NULL), NULL);
    failed("power on", err);
    return err;
}

/* ---- Procedures that are called ---- */

/* How the chain of procedures ended. */
typedef struct Outcome {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int ended;
    VixError error;
    /* Whether each procedure's job is waited for as well. */
    int waits;
    VixHandle jobs[4];
    int jobCount;
} Outcome;

static void end(Outcome *outcome, VixError err)
{
    pthread_mutex_lock(&outcome->mutex);
    outcome->ended = 1;
    outcome->error = err;
    pthread_cond_broadcast(&outcome->changed);
    pthread_mutex_unlock(&outcome->mutex);
}

/* Reads what a job has made once it is complete; returns whether the chain goes on. */
static int completed(Outcome *outcome,
                     const char *what,
                     VixHandle job,
                     VixEventType event,
                     VixHandle *made)
{
    VixError err;
    int64 result = 0;
    if (event != VIX_EVENTTYPE_JOB_COMPLETED) {
        return 0;
    }
    err = Vix_GetProperties(job,
                            VIX_PROPERTY_JOB_RESULT_ERROR_CODE, &result,
                            VIX_PROPERTY_JOB_RESULT_HANDLE, made,
                            VIX_PROPERTY_NONE);
    if (VIX_SUCCEEDED(err)) {
        err = (VixError)result;
    }
    if (!outcome->waits) {
        Vix_ReleaseHandle(job);
    }
    if (failed(what, err)) {
        end(outcome, err);
        return 0;
    }
    return 1;
}

/* Keeps the job for whoever waits. */
static void keep(Outcome *outcome, VixHandle job)
{
    pthread_mutex_lock(&outcome->mutex);
    outcome->jobs[outcome->jobCount++] = job;
    pthread_cond_broadcast(&outcome->changed);
    pthread_mutex_unlock(&outcome->mutex);
}

#ifdef __cplusplus
extern "C" {
#endif

static void poweredOn(VixHandle job, VixEventType event, VixHandle info, void *data)
{
    Outcome *outcome = (Outcome *)data;
    VixError err;
    (void)info;
    if (event != VIX_EVENTTYPE_JOB_COMPLETED) {
        return;
    }
    err = VixJob_GetError(job);
    failed("power on", err);
    if (!outcome->waits) {
        Vix_ReleaseHandle(job);
    }
    end(outcome, err);
}

static void cloned(VixHandle job, VixEventType event, VixHandle info, void *data)
{
    Outcome *outcome = (Outcome *)data;
    (void)info;
    if (completed(outcome, "clone", job, event, &cloneHandle)) {
        keep(outcome, VixVM_PowerOn(cloneHandle, powerOnOptions, VIX_INVALID_HANDLE, poweredOn, data));
    }
}

static void opened(VixHandle job, VixEventType event, VixHandle info, void *data)
{
    Outcome *outcome = (Outcome *)data;
    (void)info;
    if (completed(outcome, "open", job, event, &vmHandle)) {
        keep(outcome, VixVM_Clone(vmHandle, VIX_INVALID_HANDLE, VIX_CLONETYPE_LINKED, clonePath, 0,
                                  VIX_INVALID_HANDLE, cloned, data));
    }
}

static void connected(VixHandle job, VixEventType event, VixHandle info, void *data)
{
    Outcome *outcome = (Outcome *)data;
    (void)info;
    if (completed(outcome, "connect", job, event, &hostHandle)) {
        keep(outcome, VixVM_Open(hostHandle, vmxPath, opened, data));
    }
}

#ifdef __cplusplus
}
#endif

/* Waits for the jobs of the chain as they are started; returns the first error. */
static VixError waitForAll(Outcome *outcome)
{
    VixError err = VIX_OK;
    int i;
    for (i = 0; VIX_SUCCEEDED(err) && i < 4; i++) {
        VixHandle job;
        pthread_mutex_lock(&outcome->mutex);
        while (outcome->jobCount <= i && !outcome->ended) {
            pthread_cond_wait(&outcome->changed, &outcome->mutex);
        }
        job = outcome->jobCount > i ? outcome->jobs[i] : VIX_INVALID_HANDLE;
        pthread_mutex_unlock(&outcome->mutex);
        err = waitFor(job, NULL);
        failed("wait", err);
    }
    return err;
}

static VixError byCallback(int waits)
{
    Outcome outcome;
    VixError err = VIX_OK;
    memset(&outcome, 0, sizeof outcome);
    pthread_mutex_init(&outcome.mutex, NULL);
    pthread_cond_init(&outcome.changed, NULL);
    outcome.waits = waits;
    keep(&outcome, VixHost_Connect(VIX_API_VERSION, VIX_SERVICEPROVIDER_VMWARE_WORKSTATION, NULL, 0,
                                   NULL, NULL, 0, VIX_INVALID_HANDLE, connected, &outcome));
    if (waits) {
        err = waitForAll(&outcome);
    }
    pthread_mutex_lock(&outcome.mutex);
    while (!outcome.ended) {
        pthread_cond_wait(&outcome.changed, &outcome.mutex);
    }
    pthread_mutex_unlock(&outcome.mutex);
    return VIX_FAILED(err) ? err : outcome.error;
}

int main(int argc, char **argv)
{
    VixError err;
    if (argc != 4) {
        return 2;
    }
    vmxPath = argv[2];
    clonePath = argv[3];
    if (strcmp(argv[1], "gui") == 0) {
        powerOnOptions = VIX_VMPOWEROP_LAUNCH_GUI;
    }
    if (strcmp(argv[1], "callback") == 0 || strcmp(argv[1], "both") == 0) {
        err = byCallback(strcmp(argv[1], "both") == 0);
    } else if (strcmp(argv[1], "poll") == 0) {
        err = stepByStep(argv[1], pollFor);
    } else {
        err = stepByStep(argv[1], waitFor);
    }
    Vix_ReleaseHandle(cloneHandle);
    Vix_ReleaseHandle(vmHandle);
    VixHost_Disconnect(hostHandle);
    return VIX_FAILED(err) ? 1 : 0;
}
