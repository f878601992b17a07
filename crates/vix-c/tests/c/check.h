/*
 * check.h: what the C tests share: checks that end the program, and short ways to do common things.
 *
 * A program's tests stand in a table. `main` runs the one that the first argument names, connected
 * to this machine, and hands it the other arguments. A check that fails says where and what in one
 * line, and the program exits with 1. Include it first.
 */
#ifndef CHECK_H
#define CHECK_H

#define _POSIX_C_SOURCE 200809L

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vix.h"

/* A helper that not every test needs. */
#define HELPER __attribute__((unused)) static

/* ---- Checks ---- */

#define CHECK(condition) check((condition) ? 1 : 0, #condition, __FILE__, __LINE__)

/* Checks a VixError, all of its bits. */
#define CHECK_ERROR(error, expected) \
    check_error((error), (expected), #error, __FILE__, __LINE__)

#define CHECK_NUMBER(number, expected) \
    check_number((number), (expected), #number, __FILE__, __LINE__)

#define CHECK_TEXT(text, expected) check_text((text), (expected), #text, __FILE__, __LINE__)

/* Checks that a text has these words in it. */
#define CHECK_SAYS(text, words) check_says((text), (words), #text, __FILE__, __LINE__)

/* Checks how a job ends, and releases it. */
#define CHECK_JOB(job, expected) check_job((job), (expected), #job, __FILE__, __LINE__)

/* Waits for a job that makes something, releases the job, and returns what it made. */
#define MADE_BY(job) made_by((job), #job, __FILE__, __LINE__)

HELPER void check(int holds, const char *what, const char *file, int line)
{
    if (!holds) {
        printf("%s:%d: %s does not hold\n", file, line, what);
        exit(1);
    }
}

HELPER void check_error(VixError error,
                        VixError expected,
                        const char *what,
                        const char *file,
                        int line)
{
    if (error != expected) {
        printf("%s:%d: %s is %lu (%s), expected %lu (%s)\n", file, line, what,
               (unsigned long)error, Vix_GetErrorText(error, NULL),
               (unsigned long)expected, Vix_GetErrorText(expected, NULL));
        exit(1);
    }
}

HELPER void check_number(long number, long expected, const char *what, const char *file, int line)
{
    if (number != expected) {
        printf("%s:%d: %s is %ld, expected %ld\n", file, line, what, number, expected);
        exit(1);
    }
}

HELPER void check_text(const char *text,
                       const char *expected,
                       const char *what,
                       const char *file,
                       int line)
{
    if (strcmp(text, expected) != 0) {
        printf("%s:%d: %s is \"%s\", expected \"%s\"\n", file, line, what, text, expected);
        exit(1);
    }
}

HELPER void check_says(const char *text,
                       const char *words,
                       const char *what,
                       const char *file,
                       int line)
{
    if (strstr(text, words) == NULL) {
        printf("%s:%d: %s is \"%s\", without \"%s\"\n", file, line, what, text, words);
        exit(1);
    }
}

/* ---- Jobs ---- */

/*
 * Checks that a call has returned a job and that the job ends with `expected`; one that fails has
 * no result handle. Releases it.
 */
HELPER void check_job(VixHandle job,
                      VixError expected,
                      const char *what,
                      const char *file,
                      int line)
{
    VixHandle result = -1;
    int64 code = -1;
    check_number(Vix_GetHandleType(job), VIX_HANDLETYPE_JOB, what, file, line);
    check_error(VixJob_Wait(job, VIX_PROPERTY_NONE), expected, what, file, line);
    check_error(VixJob_GetError(job), expected, what, file, line);
    if (expected != VIX_OK) {
        check_error(Vix_GetProperties(job,
                                      VIX_PROPERTY_JOB_RESULT_HANDLE, &result,
                                      VIX_PROPERTY_JOB_RESULT_ERROR_CODE, &code,
                                      VIX_PROPERTY_NONE),
                    VIX_OK, what, file, line);
        check_number(result, VIX_INVALID_HANDLE, what, file, line);
        check_error((VixError)code, expected, what, file, line);
    }
    Vix_ReleaseHandle(job);
}

HELPER VixHandle made_by(VixHandle job, const char *what, const char *file, int line)
{
    VixHandle made = VIX_INVALID_HANDLE;
    VixError error = VixJob_Wait(job, VIX_PROPERTY_JOB_RESULT_HANDLE, &made, VIX_PROPERTY_NONE);
    check_error(error, VIX_OK, what, file, line);
    check(made != VIX_INVALID_HANDLE, what, file, line);
    Vix_ReleaseHandle(job);
    return made;
}

/* Waits for a job and returns what it says to its user, to be freed; an empty text for nothing. */
HELPER char *message_of(VixHandle job)
{
    char *message = NULL;
    VixJob_Wait(job, VIX_PROPERTY_NONE);
    Vix_GetProperties(job, VIX_PROPERTY_JOB_RESULT_USER_MESSAGE, &message, VIX_PROPERTY_NONE);
    /* Vix_FreeBuffer passes over what is not the library's. */
    return message != NULL ? message : (char *)"";
}

/* Lets a moment pass between two questions to a job. */
HELPER void breathe(void)
{
    poll(NULL, 0, 1);
}

/* ---- Hosts, VMs, snapshots ---- */

HELPER VixHandle connect_to(VixServiceProvider provider)
{
    return MADE_BY(VixHost_Connect(VIX_API_VERSION, provider, NULL, 0, NULL, NULL, 0,
                                   VIX_INVALID_HANDLE, NULL, NULL));
}

/* Starts opening a VM; returns the job. */
HELPER VixHandle opening(VixHandle host, const char *vmx)
{
    return VixHost_OpenVM(host, vmx, VIX_VMOPEN_NORMAL, VIX_INVALID_HANDLE, NULL, NULL);
}

HELPER VixHandle open_vm(VixHandle host, const char *vmx)
{
    return MADE_BY(opening(host, vmx));
}

/* Starts a clone; returns the job. */
HELPER VixHandle cloning(VixHandle vm, VixHandle snapshot, VixCloneType type, const char *vmx)
{
    return VixVM_Clone(vm, snapshot, type, vmx, 0, VIX_INVALID_HANDLE, NULL, NULL);
}

/* Starts powering a VM on without a window; returns the job. */
HELPER VixHandle starting(VixHandle vm)
{
    return VixVM_PowerOn(vm, VIX_VMPOWEROP_NORMAL, VIX_INVALID_HANDLE, NULL, NULL);
}

/* Starts powering a VM off; returns the job. */
HELPER VixHandle stopping(VixHandle vm)
{
    return VixVM_PowerOff(vm, VIX_VMPOWEROP_NORMAL, NULL, NULL);
}

/* Starts taking a snapshot; returns the job. */
HELPER VixHandle taking(VixHandle vm, const char *name)
{
    return VixVM_CreateSnapshot(vm, name, "", 0, VIX_INVALID_HANDLE, NULL, NULL);
}

/* Returns the snapshot of a name or path; the null handle for "-", which stands for none. */
HELPER VixHandle snapshot_named(VixHandle vm, const char *name)
{
    VixHandle snapshot = VIX_INVALID_HANDLE;
    if (strcmp(name, "-") != 0) {
        CHECK_ERROR(VixVM_GetNamedSnapshot(vm, name, &snapshot), VIX_OK);
    }
    return snapshot;
}

HELPER int number_of(VixHandle handle, VixPropertyID id)
{
    int number = -1;
    CHECK_ERROR(Vix_GetProperties(handle, id, &number, VIX_PROPERTY_NONE), VIX_OK);
    return number;
}

/* Returns a text, to be freed. */
HELPER char *text_of(VixHandle handle, VixPropertyID id)
{
    char *text = NULL;
    CHECK_ERROR(Vix_GetProperties(handle, id, &text, VIX_PROPERTY_NONE), VIX_OK);
    return text;
}

HELPER void check_text_of(VixHandle handle, VixPropertyID id, const char *expected)
{
    char *text = text_of(handle, id);
    CHECK_TEXT(text, expected);
    Vix_FreeBuffer(text);
}

HELPER int root_count(VixHandle vm)
{
    int count = -1;
    CHECK_ERROR(VixVM_GetNumRootSnapshots(vm, &count), VIX_OK);
    return count;
}

/* Returns "FOLDER/REST"; good for the next 16 calls. */
HELPER const char *below(const char *folder, const char *rest)
{
    static char paths[16][4096];
    static int next = 0;
    char *path = paths[next++ % 16];
    CHECK(strlen(folder) + strlen(rest) + 2 <= sizeof paths[0]);
    sprintf(path, "%s/%s", folder, rest);
    return path;
}

/* ---- Tests ---- */

/* A test: `host` is connected to this machine, `args` ends with a null. */
typedef void TestBody(VixHandle host, char **args);

typedef struct Test {
    const char *name;
    TestBody *body;
} Test;

/* Runs the test that `argv` names; the table ends with a null name. */
HELPER int run_test(const Test *tests, int argc, char **argv)
{
    VixHandle host;
    CHECK(argc > 1);
    while (tests->name != NULL && strcmp(tests->name, argv[1]) != 0) {
        tests++;
    }
    if (tests->name == NULL) {
        printf("there is no test %s\n", argv[1]);
        return 1;
    }
    host = connect_to(VIX_SERVICEPROVIDER_VMWARE_WORKSTATION);
    tests->body(host, argv + 2);
    VixHost_Disconnect(host);
    return 0;
}

#endif
