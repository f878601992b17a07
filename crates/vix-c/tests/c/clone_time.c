/*
 * clone_time.c: VixVM_Clone returns at once, however long the clone takes.
 *
 * Arguments: the base VM's .vmx, a folder for clones.
 */
#include "check.h"

#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

/* The longest that a call may take, in milliseconds. */
#define LIMIT_MS 10.0

/* How many calls are made; the fastest counts, since the machine may do other things, too. */
#define CALLS 3

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int is_complete(VixHandle job)
{
    Bool complete = 2;
    CHECK_ERROR(VixJob_CheckCompletion(job, &complete), VIX_OK);
    CHECK(IsBool(complete));
    return complete;
}

/* Makes a full clone, checks that the call did not wait for it, and returns how long the call took. */
static double time_full_clone(VixHandle vm, const char *vmx)
{
    double before = now_ms();
    VixHandle job = cloning(vm, VIX_INVALID_HANDLE, VIX_CLONETYPE_FULL, vmx);
    double taken = now_ms() - before;
    VixHandle clone = VIX_INVALID_HANDLE;
    CHECK(!is_complete(job));
    CHECK_ERROR(VixJob_GetError(job), VIX_E_UNFINISHED_JOB);
    CHECK_NUMBER(VixJob_GetNumProperties(job, VIX_PROPERTY_JOB_RESULT_HANDLE), 0);
    while (!is_complete(job)) {
        breathe();
    }
    printf("the call: %.3f ms, the clone: %.0f ms\n", taken, now_ms() - before);
    CHECK_ERROR(VixJob_GetError(job), VIX_OK);
    clone = MADE_BY(job);
    CHECK_JOB(VixVM_Delete(clone, VIX_VMDELETE_DISK_FILES, NULL, NULL), VIX_OK);
    Vix_ReleaseHandle(clone);
    return taken;
}

static void call_returns_while_the_clone_runs(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    double fastest = 1e9;
    int i;
    for (i = 0; i < CALLS; i++) {
        double taken = time_full_clone(vm, below(args[1], "full/full.vmx"));
        fastest = taken < fastest ? taken : fastest;
    }
    CHECK(fastest < LIMIT_MS);
    Vix_ReleaseHandle(vm);
}

/*
 * Somebody else holds the VM's folder, so that no clone can even begin: the worst that a slow disk
 * could do. Third argument: that folder.
 */
static void call_returns_before_anything_is_read(VixHandle host, char **args)
{
    static const VixCloneType TYPES[] = {VIX_CLONETYPE_FULL, VIX_CLONETYPE_LINKED};
    const char *names[2] = {"full/full.vmx", "linked/linked.vmx"};
    VixHandle vm = open_vm(host, args[0]);
    VixHandle jobs[2];
    int folder = open(args[2], O_RDONLY);
    int i;
    CHECK(folder >= 0 && flock(folder, LOCK_EX) == 0);
    for (i = 0; i < 2; i++) {
        jobs[i] = cloning(vm, VIX_INVALID_HANDLE, TYPES[i], below(args[1], names[i]));
    }
    for (i = 0; i < 2; i++) {
        CHECK(!is_complete(jobs[i]));
    }
    CHECK(close(folder) == 0);
    for (i = 0; i < 2; i++) {
        CHECK_JOB(jobs[i], VIX_OK);
    }
    Vix_ReleaseHandle(vm);
}

static const Test TESTS[] = {
    {"call_returns_while_the_clone_runs", call_returns_while_the_clone_runs},
    {"call_returns_before_anything_is_read", call_returns_before_anything_is_read},
    {NULL, NULL}};

int main(int argc, char **argv)
{
    return run_test(TESTS, argc, argv);
}
