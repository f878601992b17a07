/*
 * find_and_pump.c: finding VMs, and clients that lend the library their own thread.
 *
 * First argument: a VM's .vmx; then what a test says.
 */
#include "check.h"
#include "listener.h"

static VixHandle finding(VixHandle host, VixFindItemType kind, Listener *listener)
{
    return VixHost_FindItems(host, kind, VIX_INVALID_HANDLE, -1, listen, listener);
}

/* Checks that the n-th record of a job is the VM at `vmx`. */
static void check_record(VixHandle job, int index, const char *vmx)
{
    char *location = NULL;
    CHECK_ERROR(VixJob_GetNthProperties(job, index, VIX_PROPERTY_FOUND_ITEM_LOCATION, &location,
                                        VIX_PROPERTY_NONE),
                VIX_OK);
    CHECK_TEXT(location, vmx);
    Vix_FreeBuffer(location);
}

/* The events come before Wait returns; the records are there then. */
static void items_are_told_before_the_end(VixHandle host, char **args)
{
    Listener listener;
    VixHandle job;
    char *none = NULL;
    CHECK_JOB(VixHost_RegisterVM(host, args[0], NULL, NULL), VIX_OK);
    CHECK_JOB(VixHost_RegisterVM(host, args[1], NULL, NULL), VIX_OK);
    listener_init(&listener);
    job = finding(host, VIX_FIND_REGISTERED_VMS, &listener);
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_NONE), VIX_OK);
    check_heard(&listener, VIX_OK);
    CHECK_NUMBER(listener.found, 2);
    CHECK_TEXT(listener.location, args[1]);
    CHECK_NUMBER(Vix_GetHandleType(listener.item), VIX_HANDLETYPE_NONE);
    CHECK_NUMBER(VixJob_GetNumProperties(job, VIX_PROPERTY_FOUND_ITEM_LOCATION), 2);
    check_record(job, 0, args[0]);
    check_record(job, 1, args[1]);
    CHECK_ERROR(VixJob_GetNthProperties(job, 2, VIX_PROPERTY_FOUND_ITEM_LOCATION, &none,
                                        VIX_PROPERTY_NONE),
                VIX_E_UNRECOGNIZED_PROPERTY);
    Vix_ReleaseHandle(job);
    listener_end(&listener);

    CHECK_JOB(VixHost_UnregisterVM(host, args[1], NULL, NULL), VIX_OK);
    job = VixHost_FindItems(host, VIX_FIND_REGISTERED_VMS, VIX_INVALID_HANDLE, -1, NULL, NULL);
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_NONE), VIX_OK);
    CHECK_NUMBER(VixJob_GetNumProperties(job, VIX_PROPERTY_FOUND_ITEM_LOCATION), 1);
    check_record(job, 0, args[0]);
    Vix_ReleaseHandle(job);
}

static void nothing_found_is_no_error(VixHandle host, char **args)
{
    Listener listener;
    VixHandle job;
    char *none = NULL;
    (void)args;
    listener_init(&listener);
    job = finding(host, VIX_FIND_REGISTERED_VMS, &listener);
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_NONE), VIX_OK);
    check_heard(&listener, VIX_OK);
    CHECK_NUMBER(listener.found, 0);
    CHECK_NUMBER(VixJob_GetNumProperties(job, VIX_PROPERTY_FOUND_ITEM_LOCATION), 0);
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_FOUND_ITEM_LOCATION, &none, VIX_PROPERTY_NONE),
                VIX_E_UNRECOGNIZED_PROPERTY);
    Vix_ReleaseHandle(job);
    listener_end(&listener);
    CHECK_JOB(VixHost_FindItems(host, 3, VIX_INVALID_HANDLE, -1, NULL, NULL), VIX_E_INVALID_ARG);
    CHECK_JOB(VixHost_FindItems(host, VIX_FIND_RUNNING_VMS, host, -1, NULL, NULL),
              VIX_E_INVALID_ARG);
}

static void running_vm_is_found(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    Listener listener;
    VixHandle job;
    int ours = 0;
    int i;
    listener_init(&listener);
    CHECK_JOB(starting(vm), VIX_OK);
    job = finding(host, VIX_FIND_RUNNING_VMS, &listener);
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_NONE), VIX_OK);
    check_heard(&listener, VIX_OK);
    CHECK_NUMBER(listener.found, VixJob_GetNumProperties(job, VIX_PROPERTY_FOUND_ITEM_LOCATION));
    /* Others may run VMs at the same time. */
    for (i = 0; i < listener.found; i++) {
        char *location = NULL;
        CHECK_ERROR(VixJob_GetNthProperties(job, i, VIX_PROPERTY_FOUND_ITEM_LOCATION, &location,
                                            VIX_PROPERTY_NONE),
                    VIX_OK);
        ours += strcmp(location, args[0]) == 0;
        Vix_FreeBuffer(location);
    }
    CHECK_NUMBER(ours, 1);
    Vix_ReleaseHandle(job);
    CHECK_JOB(stopping(vm), VIX_OK);
    listener_end(&listener);
    Vix_ReleaseHandle(vm);
}

static void inventory_takes_what_is_there(VixHandle host, char **args)
{
    CHECK_JOB(VixHost_RegisterVM(host, args[1], NULL, NULL), VIX_E_NOT_FOUND);
    CHECK_JOB(VixHost_RegisterVM(host, NULL, NULL, NULL), VIX_E_INVALID_ARG);
    CHECK_JOB(VixHost_RegisterVM(host, "", NULL, NULL), VIX_E_INVALID_ARG);
    CHECK_JOB(VixHost_RegisterVM(host, args[0], NULL, NULL), VIX_OK);
    CHECK_JOB(VixHost_RegisterVM(host, args[0], NULL, NULL), VIX_OK);
    CHECK_JOB(VixHost_UnregisterVM(host, args[1], NULL, NULL), VIX_OK);
    CHECK_JOB(VixHost_UnregisterVM(host, args[0], NULL, NULL), VIX_OK);
    CHECK_JOB(VixHost_UnregisterVM(host, args[0], NULL, NULL), VIX_OK);
}

/* ---- The event pump ---- */

static VixHandle connecting_pumped(Listener *listener)
{
    return VixHost_Connect(VIX_API_VERSION, VIX_SERVICEPROVIDER_VMWARE_WORKSTATION, NULL, 0, NULL,
                           NULL, VIX_HOSTOPTION_USE_EVENT_PUMP, VIX_INVALID_HANDLE,
                           listener == NULL ? NULL : listen, listener);
}

static int is_complete(VixHandle job)
{
    Bool complete = 2;
    CHECK_ERROR(VixJob_CheckCompletion(job, &complete), VIX_OK);
    return complete;
}

/* Checks that all was heard in this thread, and gives up the listener. */
static void heard_here(Listener *listener)
{
    check_heard(listener, VIX_OK);
    CHECK(pthread_equal(listener->thread, pthread_self()));
    listener_end(listener);
}

static void pump_does_all_work(VixHandle host, char **args)
{
    Listener listener;
    VixHandle pumped;
    VixHandle vm;
    VixHandle job;
    VixHandle second;

    listener_init(&listener);
    job = connecting_pumped(&listener);
    CHECK(!is_complete(job));
    /* Another host's pump is not ours, and one that has none does nothing. */
    Vix_PumpEvents(host, VIX_PUMPEVENTOPTION_NONE);
    CHECK(!is_complete(job));
    Vix_PumpEvents(VIX_INVALID_HANDLE, VIX_PUMPEVENTOPTION_NONE);
    CHECK(is_complete(job));
    pumped = listener.result;
    heard_here(&listener);
    Vix_ReleaseHandle(job);

    listener_init(&listener);
    job = VixVM_Open(pumped, args[0], listen, &listener);
    second = VixVM_Open(pumped, args[0], NULL, NULL);
    CHECK(!is_complete(job) && !is_complete(second));
    Vix_PumpEvents(pumped, VIX_PUMPEVENTOPTION_NONE);
    CHECK(is_complete(job) && is_complete(second));
    vm = listener.result;
    heard_here(&listener);
    CHECK_JOB(job, VIX_OK);
    CHECK_JOB(second, VIX_OK);

    listener_init(&listener);
    job = VixVM_Clone(vm, VIX_INVALID_HANDLE, VIX_CLONETYPE_FULL, below(args[1], "new/new.vmx"), 0,
                      VIX_INVALID_HANDLE, listen, &listener);
    CHECK(!is_complete(job));
    Vix_PumpEvents(pumped, VIX_PUMPEVENTOPTION_NONE);
    CHECK(is_complete(job));
    Vix_ReleaseHandle(listener.result);
    heard_here(&listener);
    CHECK_JOB(job, VIX_OK);
    Vix_ReleaseHandle(vm);
    VixHost_Disconnect(pumped);
}

static void wait_pumps_by_itself(VixHandle host, char **args)
{
    VixHandle pumped = MADE_BY(connecting_pumped(NULL));
    Listener listener;
    VixHandle vm;
    VixHandle job;
    (void)host;
    listener_init(&listener);
    job = VixVM_Open(pumped, args[0], listen, &listener);
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_JOB_RESULT_HANDLE, &vm, VIX_PROPERTY_NONE), VIX_OK);
    Vix_ReleaseHandle(listener.result);
    heard_here(&listener);
    Vix_ReleaseHandle(job);
    Vix_ReleaseHandle(vm);
    VixHost_Disconnect(pumped);
}

/* Nobody can pump for a host that is gone: what was asked of it is done before. */
static void disconnect_pumps_what_is_left(VixHandle host, char **args)
{
    VixHandle pumped = MADE_BY(connecting_pumped(NULL));
    Listener listener;
    VixHandle job;
    VixHandle vm;
    (void)host;
    listener_init(&listener);
    job = VixVM_Open(pumped, args[0], listen, &listener);
    CHECK(!is_complete(job));
    VixHost_Disconnect(pumped);
    CHECK(is_complete(job));
    vm = listener.result;
    heard_here(&listener);
    CHECK_JOB(job, VIX_OK);
    /* What comes later is refused, without a pump. */
    job = starting(vm);
    while (!is_complete(job)) {
        breathe();
    }
    CHECK_JOB(job, VIX_E_VM_HOST_DISCONNECTED);
    Vix_ReleaseHandle(vm);
}

static const Test TESTS[] = {
    {"items_are_told_before_the_end", items_are_told_before_the_end},
    {"nothing_found_is_no_error", nothing_found_is_no_error},
    {"running_vm_is_found", running_vm_is_found},
    {"inventory_takes_what_is_there", inventory_takes_what_is_there},
    {"pump_does_all_work", pump_does_all_work},
    {"wait_pumps_by_itself", wait_pumps_by_itself},
    {"disconnect_pumps_what_is_left", disconnect_pumps_what_is_left},
    {NULL, NULL}};

int main(int argc, char **argv)
{
    return run_test(TESTS, argc, argv);
}
