/*
 * jobs.c: waiting for jobs, asking them, being called by them.
 *
 * Arguments: a VM's .vmx, a folder for clones, the VM's folder.
 */
#include "check.h"
#include "listener.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

/* Holds a VM's folder, so that jobs which change the VM do not end before it is let go. */
static int hold(const char *folder)
{
    int held = open(folder, O_RDONLY);
    CHECK(held >= 0 && flock(held, LOCK_EX) == 0);
    return held;
}

static void let_go(int held)
{
    CHECK(close(held) == 0);
}

static VixHandle opening_heard(VixHandle host, const char *vmx, Listener *listener)
{
    return VixHost_OpenVM(host, vmx, VIX_VMOPEN_NORMAL, VIX_INVALID_HANDLE, listen, listener);
}

static VixHandle taking_heard(VixHandle vm, Listener *listener)
{
    return VixVM_CreateSnapshot(vm, "s", "", 0, VIX_INVALID_HANDLE, listen, listener);
}

static void job_is_unfinished_until_its_end(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    int held = hold(args[2]);
    VixHandle job = taking(vm, "s");
    VixHandle none = 4711;
    int64 code = 4711;
    Bool complete = 2;
    CHECK_ERROR(VixJob_CheckCompletion(job, &complete), VIX_OK);
    CHECK_NUMBER(complete, FALSE);
    CHECK_ERROR(VixJob_GetError(job), VIX_E_UNFINISHED_JOB);
    CHECK_ERROR(Vix_GetProperties(job, VIX_PROPERTY_JOB_RESULT_ERROR_CODE, &code,
                                  VIX_PROPERTY_NONE),
                VIX_E_UNFINISHED_JOB);
    CHECK_ERROR(VixJob_GetNthProperties(job, 0, VIX_PROPERTY_JOB_RESULT_HANDLE, &none,
                                        VIX_PROPERTY_NONE),
                VIX_E_UNFINISHED_JOB);
    CHECK_NUMBER(VixJob_GetNumProperties(job, VIX_PROPERTY_JOB_RESULT_HANDLE), 0);
    CHECK(code == 4711 && none == 4711);
    let_go(held);
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_NONE), VIX_OK);
    CHECK_ERROR(VixJob_CheckCompletion(job, &complete), VIX_OK);
    CHECK_NUMBER(complete, TRUE);
    CHECK_ERROR(VixJob_GetError(job), VIX_OK);
    Vix_ReleaseHandle(job);
    Vix_ReleaseHandle(vm);
}

static void wait_may_be_called_again(VixHandle host, char **args)
{
    VixHandle job = opening(host, args[0]);
    VixHandle first = VIX_INVALID_HANDLE;
    VixHandle second = VIX_INVALID_HANDLE;
    VixHandle third = VIX_INVALID_HANDLE;
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_NONE), VIX_OK);
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_JOB_RESULT_HANDLE, &first, VIX_PROPERTY_NONE), VIX_OK);
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_JOB_RESULT_HANDLE, &second, VIX_PROPERTY_NONE),
                VIX_OK);
    CHECK_ERROR(VixJob_GetNthProperties(job, 0, VIX_PROPERTY_JOB_RESULT_HANDLE, &third,
                                        VIX_PROPERTY_NONE),
                VIX_OK);
    CHECK_NUMBER(VixJob_GetNumProperties(job, VIX_PROPERTY_JOB_RESULT_HANDLE), 1);
    CHECK(first == second && second == third);
    Vix_ReleaseHandle(job);
    /* Three references were given. */
    Vix_ReleaseHandle(first);
    Vix_ReleaseHandle(first);
    CHECK_NUMBER(Vix_GetHandleType(first), VIX_HANDLETYPE_VM);
    Vix_ReleaseHandle(first);
    CHECK_NUMBER(Vix_GetHandleType(first), VIX_HANDLETYPE_NONE);
}

static void failed_job_says_so_every_time(VixHandle host, char **args)
{
    VixHandle job = opening(host, below(args[1], "none.vmx"));
    VixHandle none = 4711;
    char *message = message_of(job);
    CHECK_SAYS(message, "none.vmx");
    Vix_FreeBuffer(message);
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_JOB_RESULT_HANDLE, &none, VIX_PROPERTY_NONE),
                VIX_E_VM_NOT_FOUND);
    CHECK_NUMBER(none, 4711);
    CHECK_NUMBER(VixJob_GetNumProperties(job, VIX_PROPERTY_JOB_RESULT_HANDLE), 0);
    CHECK_NUMBER(VixJob_GetNumProperties(job, VIX_PROPERTY_JOB_RESULT_ERROR_CODE), 1);
    CHECK_JOB(job, VIX_E_VM_NOT_FOUND);
}

static void wait_tells_what_it_cannot_read(VixHandle host, char **args)
{
    VixHandle job = opening(host, args[0]);
    VixHandle vm = 4711;
    char *name = NULL;
    CHECK_ERROR(VixJob_Wait(job,
                            VIX_PROPERTY_JOB_RESULT_HANDLE, &vm,
                            VIX_PROPERTY_JOB_RESULT_ITEM_NAME, &name,
                            VIX_PROPERTY_NONE),
                VIX_E_UNRECOGNIZED_PROPERTY);
    CHECK_ERROR(VixJob_Wait(job, 9999, &vm, VIX_PROPERTY_NONE), VIX_E_UNRECOGNIZED_PROPERTY);
    CHECK_ERROR(VixJob_GetNthProperties(job, 1, VIX_PROPERTY_JOB_RESULT_HANDLE, &vm,
                                        VIX_PROPERTY_NONE),
                VIX_E_UNRECOGNIZED_PROPERTY);
    CHECK_ERROR(VixJob_GetNthProperties(job, -1, VIX_PROPERTY_JOB_RESULT_HANDLE, &vm,
                                        VIX_PROPERTY_NONE),
                VIX_E_INVALID_ARG);
    CHECK(vm == 4711 && name == NULL);
    Vix_ReleaseHandle(job);
}

/* A callback and a wait for the same job, of a clone: long enough for progress. */
static void completion_comes_once_and_last(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    Listener listener;
    VixHandle job;
    VixHandle clone = VIX_INVALID_HANDLE;
    listener_init(&listener);
    job = VixVM_Clone(vm, VIX_INVALID_HANDLE, VIX_CLONETYPE_FULL, below(args[1], "new/new.vmx"), 0,
                      VIX_INVALID_HANDLE, listen, &listener);
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_JOB_RESULT_HANDLE, &clone, VIX_PROPERTY_NONE), VIX_OK);
    check_heard(&listener, VIX_OK);
    CHECK(listener.progress > 0);
    CHECK_NUMBER(listener.job, job);
    CHECK_NUMBER(listener.result, clone);
    Vix_ReleaseHandle(clone);
    Vix_ReleaseHandle(clone);
    CHECK_NUMBER(Vix_GetHandleType(clone), VIX_HANDLETYPE_VM);
    Vix_ReleaseHandle(job);
    CHECK_NUMBER(Vix_GetHandleType(clone), VIX_HANDLETYPE_NONE);
    check_heard(&listener, VIX_OK);
    listener_end(&listener);
    Vix_ReleaseHandle(vm);
}

static void completion_tells_of_a_failure(VixHandle host, char **args)
{
    Listener listener;
    VixHandle job;
    listener_init(&listener);
    job = opening_heard(host, below(args[1], "none.vmx"), &listener);
    await_completion(&listener);
    check_heard(&listener, VIX_E_VM_NOT_FOUND);
    CHECK_NUMBER(listener.result, VIX_INVALID_HANDLE);
    CHECK_JOB(job, VIX_E_VM_NOT_FOUND);
    listener_end(&listener);
}

/* A procedure without client data, and client data without a procedure. */
static void either_may_be_missing(VixHandle host, char **args)
{
    Listener unused;
    VixHandle vm;
    listener_init(&unused);
    vm = MADE_BY(VixHost_OpenVM(host, args[0], VIX_VMOPEN_NORMAL, VIX_INVALID_HANDLE, NULL,
                                &unused));
    CHECK_NUMBER(unused.completed, 0);
    listener_end(&unused);
    Vix_ReleaseHandle(vm);
}

/* ---- What a procedure may do ---- */

static void release_job(Listener *listener, VixHandle job)
{
    (void)listener;
    Vix_ReleaseHandle(job);
    CHECK_NUMBER(Vix_GetHandleType(job), VIX_HANDLETYPE_JOB);
}

static void wait_for_own_job(Listener *listener, VixHandle job)
{
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_NONE), listener->error);
}

/* Opens the same VM anew, through the host, and waits for that. */
static void wait_for_another_job(Listener *listener, VixHandle job)
{
    char *path = text_of(listener->result, VIX_PROPERTY_VM_VMX_PATHNAME);
    Listener inner;
    VixHandle other;
    (void)job;
    listener_init(&inner);
    other = opening_heard(listener->with, path, &inner);
    CHECK_ERROR(VixJob_Wait(other, VIX_PROPERTY_NONE), VIX_OK);
    await_completion(&inner);
    check_heard(&inner, VIX_OK);
    Vix_ReleaseHandle(inner.result);
    Vix_ReleaseHandle(other);
    Vix_FreeBuffer(path);
    listener_end(&inner);
}

/* Opens a VM with a procedure that does `then`. */
static void opens_and(VixHandle host,
                      const char *vmx,
                      void (*then)(Listener *listener, VixHandle job),
                      int releases)
{
    Listener listener;
    VixHandle job;
    listener_init(&listener);
    listener.then = then;
    listener.with = host;
    job = opening_heard(host, vmx, &listener);
    await_completion(&listener);
    check_heard(&listener, VIX_OK);
    Vix_ReleaseHandle(listener.result);
    if (!releases) {
        CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_NONE), VIX_OK);
        Vix_ReleaseHandle(job);
    }
    while (Vix_GetHandleType(job) != VIX_HANDLETYPE_NONE) {
        breathe();
    }
    CHECK_NUMBER(Vix_GetHandleType(listener.result), VIX_HANDLETYPE_NONE);
    listener_end(&listener);
}

static void procedure_may_call_everything(VixHandle host, char **args)
{
    opens_and(host, args[0], NULL, 0);
    opens_and(host, args[0], release_job, 1);
    opens_and(host, args[0], wait_for_own_job, 0);
    opens_and(host, args[0], wait_for_another_job, 0);
}

/* The client is not interested in the job; its procedure still hears of it. */
static void job_may_be_released_at_once(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    Listener listener;
    int held = hold(args[2]);
    listener_init(&listener);
    Vix_ReleaseHandle(taking_heard(vm, &listener));
    CHECK_NUMBER(listener.completed, 0);
    let_go(held);
    await_completion(&listener);
    check_heard(&listener, VIX_OK);
    Vix_ReleaseHandle(listener.result);
    listener_end(&listener);
    Vix_ReleaseHandle(vm);
}

/* Waits for a job of which a procedure waits for the end, too. */
static void wait_for_with(Listener *listener, VixHandle job)
{
    (void)job;
    CHECK_ERROR(VixJob_Wait(listener->with, VIX_PROPERTY_NONE), VIX_OK);
}

static void procedures_may_wait_for_each_others_jobs(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    int held = hold(args[2]);
    Listener first;
    Listener second;
    VixHandle slow;
    VixHandle quick;
    listener_init(&first);
    listener_init(&second);
    slow = taking_heard(vm, &first);
    second.then = wait_for_with;
    second.with = slow;
    quick = opening_heard(host, args[0], &second);
    let_go(held);
    await_completion(&second);
    await_completion(&first);
    check_heard(&first, VIX_OK);
    check_heard(&second, VIX_OK);
    CHECK_JOB(quick, VIX_OK);
    CHECK_JOB(slow, VIX_OK);
    Vix_ReleaseHandle(first.result);
    Vix_ReleaseHandle(second.result);
    listener_end(&second);
    listener_end(&first);
    Vix_ReleaseHandle(vm);
}

/* The process ends while a job is at work. */
static void process_ends_with_a_job(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    cloning(vm, VIX_INVALID_HANDLE, VIX_CLONETYPE_FULL, below(args[1], "new/new.vmx"));
}

static const Test TESTS[] = {
    {"job_is_unfinished_until_its_end", job_is_unfinished_until_its_end},
    {"wait_may_be_called_again", wait_may_be_called_again},
    {"failed_job_says_so_every_time", failed_job_says_so_every_time},
    {"wait_tells_what_it_cannot_read", wait_tells_what_it_cannot_read},
    {"completion_comes_once_and_last", completion_comes_once_and_last},
    {"completion_tells_of_a_failure", completion_tells_of_a_failure},
    {"either_may_be_missing", either_may_be_missing},
    {"procedure_may_call_everything", procedure_may_call_everything},
    {"job_may_be_released_at_once", job_may_be_released_at_once},
    {"procedures_may_wait_for_each_others_jobs", procedures_may_wait_for_each_others_jobs},
    {"process_ends_with_a_job", process_ends_with_a_job},
    {NULL, NULL}};

int main(int argc, char **argv)
{
    return run_test(TESTS, argc, argv);
}
