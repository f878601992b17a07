/*
 * handles.c: handles that are stale, of another type, or none; and how long one is good.
 *
 * First argument: a VM's .vmx; it has a snapshot `cold`.
 */
#include "check.h"

#define NONE VIX_INVALID_HANDLE

static void handles_have_types(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle snapshot = snapshot_named(vm, "cold");
    VixHandle job = opening(host, args[0]);
    VixHandle list = NONE;
    VixHandle other = NONE;
    CHECK_ERROR(VixPropertyList_AllocPropertyList(vm, &list, VIX_PROPERTY_NONE), VIX_OK);
    CHECK_NUMBER(Vix_GetHandleType(host), VIX_HANDLETYPE_HOST);
    CHECK_NUMBER(Vix_GetHandleType(vm), VIX_HANDLETYPE_VM);
    CHECK_NUMBER(Vix_GetHandleType(snapshot), VIX_HANDLETYPE_SNAPSHOT);
    CHECK_NUMBER(Vix_GetHandleType(job), VIX_HANDLETYPE_JOB);
    CHECK_NUMBER(Vix_GetHandleType(list), VIX_HANDLETYPE_PROPERTY_LIST);
    CHECK_NUMBER(Vix_GetHandleType(NONE), VIX_HANDLETYPE_NONE);
    CHECK_NUMBER(Vix_GetHandleType(-1), VIX_HANDLETYPE_NONE);
    CHECK_NUMBER(Vix_GetHandleType(2147483647), VIX_HANDLETYPE_NONE);
    other = MADE_BY(job);
    /* Opening twice gives two handles of one VM. */
    CHECK(other != vm);
    check_text_of(other, VIX_PROPERTY_VM_VMX_PATHNAME, args[0]);
    Vix_ReleaseHandle(other);
    Vix_ReleaseHandle(list);
    Vix_ReleaseHandle(snapshot);
    Vix_ReleaseHandle(vm);
}

static void references_are_counted(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle next;
    Vix_AddRefHandle(vm);
    Vix_AddRefHandle(vm);
    Vix_ReleaseHandle(vm);
    Vix_ReleaseHandle(vm);
    CHECK_NUMBER(Vix_GetHandleType(vm), VIX_HANDLETYPE_VM);
    Vix_ReleaseHandle(vm);
    CHECK_NUMBER(Vix_GetHandleType(vm), VIX_HANDLETYPE_NONE);

    /* A dead handle stays dead, and its number is not given to another object. */
    Vix_AddRefHandle(vm);
    CHECK_NUMBER(Vix_GetHandleType(vm), VIX_HANDLETYPE_NONE);
    next = open_vm(host, args[0]);
    CHECK(next != vm);
    Vix_ReleaseHandle(vm);
    Vix_ReleaseHandle(vm);
    CHECK_NUMBER(Vix_GetHandleType(next), VIX_HANDLETYPE_VM);
    Vix_ReleaseHandle(next);
    Vix_ReleaseHandle(NONE);
    Vix_AddRefHandle(NONE);
    VixHost_Disconnect(NONE);
    VixHost_Disconnect(next);
    Vix_PumpEvents(NONE, VIX_PUMPEVENTOPTION_NONE);
    Vix_PumpEvents(next, VIX_PUMPEVENTOPTION_NONE);
}

/* Released in any order: a snapshot keeps its VM, a VM its host. */
static void objects_keep_what_they_need(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle snapshot = snapshot_named(vm, "cold");
    VixHandle job = opening(host, args[0]);
    VixHandle second;
    Vix_ReleaseHandle(vm);
    check_text_of(snapshot, VIX_PROPERTY_SNAPSHOT_DISPLAYNAME, "cold");
    Vix_ReleaseHandle(snapshot);
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_JOB_RESULT_HANDLE, &second, VIX_PROPERTY_NONE),
                VIX_OK);
    Vix_ReleaseHandle(job);
    CHECK_ERROR(VixJob_GetError(job), VIX_E_INVALID_HANDLE);
    check_text_of(second, VIX_PROPERTY_VM_NAME, "base");
    Vix_ReleaseHandle(second);
}

/* All calls that start a job on a VM. */
static void calls_on_a_vm(VixHandle vm, VixError expected)
{
    CHECK_JOB(VixVM_PowerOn(vm, 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_PowerOff(vm, 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_Reset(vm, 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_Suspend(vm, 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_Pause(vm, 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_Unpause(vm, 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_Delete(vm, 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_UpgradeVirtualHardware(vm, 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_CreateSnapshot(vm, "s", "", 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_RevertToSnapshot(vm, NONE, 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_RemoveSnapshot(vm, NONE, 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_Clone(vm, NONE, 0, "/a/b.vmx", 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_WaitForToolsInGuest(vm, 1, NULL, NULL), expected);
    CHECK_JOB(VixVM_LoginInGuest(vm, "u", "p", 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_LogoutFromGuest(vm, NULL, NULL), expected);
    CHECK_JOB(VixVM_RunProgramInGuest(vm, "/a", "", 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_RunScriptInGuest(vm, "/a", "b", 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_ListProcessesInGuest(vm, 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_KillProcessInGuest(vm, 1, 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_CopyFileFromHostToGuest(vm, "/a", "/b", 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_CopyFileFromGuestToHost(vm, "/a", "/b", 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_DeleteFileInGuest(vm, "/a", NULL, NULL), expected);
    CHECK_JOB(VixVM_FileExistsInGuest(vm, "/a", NULL, NULL), expected);
    CHECK_JOB(VixVM_RenameFileInGuest(vm, "/a", "/b", 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_CreateTempFileInGuest(vm, 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_GetFileInfoInGuest(vm, "/a", NULL, NULL), expected);
    CHECK_JOB(VixVM_ListDirectoryInGuest(vm, "/a", 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_CreateDirectoryInGuest(vm, "/a", NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_DeleteDirectoryInGuest(vm, "/a", 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_DirectoryExistsInGuest(vm, "/a", NULL, NULL), expected);
    CHECK_JOB(VixVM_ReadVariable(vm, VIX_VM_CONFIG_RUNTIME_ONLY, "a", 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_WriteVariable(vm, VIX_VM_GUEST_VARIABLE, "a", "b", 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_EnableSharedFolders(vm, TRUE, 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_GetNumSharedFolders(vm, NULL, NULL), expected);
    CHECK_JOB(VixVM_GetSharedFolderState(vm, 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_SetSharedFolderState(vm, "a", "/b", 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_AddSharedFolder(vm, "a", "/b", 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_RemoveSharedFolder(vm, "a", 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_CaptureScreenImage(vm, VIX_CAPTURESCREENFORMAT_PNG, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_InstallTools(vm, 0, NULL, NULL, NULL), expected);
}

/* All calls about a VM or a snapshot that answer themselves. */
static void questions(VixHandle vm, VixHandle snapshot, VixError expected)
{
    VixHandle found = 4711;
    int count = 4711;
    CHECK_ERROR(VixVM_GetNumRootSnapshots(vm, &count), expected);
    CHECK_ERROR(VixVM_GetRootSnapshot(vm, 0, &found), expected);
    CHECK_ERROR(VixVM_GetCurrentSnapshot(vm, &found), expected);
    CHECK_ERROR(VixVM_GetNamedSnapshot(vm, "s", &found), expected);
    CHECK_ERROR(VixSnapshot_GetNumChildren(snapshot, &count), expected);
    CHECK_ERROR(VixSnapshot_GetChild(snapshot, 0, &found), expected);
    CHECK_ERROR(VixSnapshot_GetParent(snapshot, &found), expected);
    CHECK(found == 4711 && count == 4711);
}

/* All calls that start a job on a host. */
static void calls_on_a_host(VixHandle host, VixError expected)
{
    CHECK_JOB(VixHost_RegisterVM(host, "/a.vmx", NULL, NULL), expected);
    CHECK_JOB(VixHost_UnregisterVM(host, "/a.vmx", NULL, NULL), expected);
    CHECK_JOB(VixHost_FindItems(host, VIX_FIND_RUNNING_VMS, NONE, -1, NULL, NULL), expected);
    CHECK_JOB(VixHost_OpenVM(host, "/a.vmx", VIX_VMOPEN_NORMAL, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_Open(host, "/a.vmx", NULL, NULL), expected);
}

/* All calls about a job. */
static void calls_on_a_job(VixHandle job, VixError expected)
{
    Bool complete = 2;
    VixHandle made = 4711;
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_NONE), expected);
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_JOB_RESULT_HANDLE, &made, VIX_PROPERTY_NONE),
                expected);
    CHECK_ERROR(VixJob_CheckCompletion(job, &complete), expected);
    CHECK_ERROR(VixJob_GetError(job), expected);
    CHECK_NUMBER(VixJob_GetNumProperties(job, VIX_PROPERTY_JOB_RESULT_HANDLE), 0);
    CHECK_ERROR(VixJob_GetNthProperties(job, 0, VIX_PROPERTY_JOB_RESULT_HANDLE, &made,
                                        VIX_PROPERTY_NONE),
                expected);
    CHECK(complete == 2 && made == 4711);
}

static void stale_handles_are_told(VixHandle host, char **args)
{
    VixHandle stale = open_vm(host, args[0]);
    VixHandle handles[4];
    char *name = NULL;
    int i;
    Vix_ReleaseHandle(stale);
    handles[0] = stale;
    handles[1] = NONE;
    handles[2] = -1;
    handles[3] = 2147483647;
    for (i = 0; i < 4; i++) {
        calls_on_a_vm(handles[i], VIX_E_INVALID_HANDLE);
        questions(handles[i], handles[i], VIX_E_INVALID_HANDLE);
        calls_on_a_host(handles[i], VIX_E_INVALID_HANDLE);
        calls_on_a_job(handles[i], VIX_E_INVALID_HANDLE);
        CHECK_ERROR(Vix_GetProperties(handles[i], VIX_PROPERTY_VM_NAME, &name, VIX_PROPERTY_NONE),
                    VIX_E_INVALID_HANDLE);
        CHECK(name == NULL);
    }
}

static void handles_of_other_types_are_told(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    calls_on_a_vm(host, VIX_E_NOT_SUPPORTED_ON_HANDLE_TYPE);
    questions(host, vm, VIX_E_NOT_SUPPORTED_ON_HANDLE_TYPE);
    calls_on_a_host(vm, VIX_E_NOT_SUPPORTED_ON_HANDLE_TYPE);
    calls_on_a_job(vm, VIX_E_NOT_SUPPORTED_ON_HANDLE_TYPE);
    VixHost_Disconnect(vm);
    CHECK_NUMBER(Vix_GetHandleType(vm), VIX_HANDLETYPE_VM);
    Vix_ReleaseHandle(vm);
}

static void recording_is_history(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    CHECK_JOB(VixVM_BeginRecording(vm, "a", "b", 0, NONE, NULL, NULL), VIX_E_NOT_SUPPORTED);
    CHECK_JOB(VixVM_EndRecording(vm, 0, NONE, NULL, NULL), VIX_E_NOT_SUPPORTED);
    CHECK_JOB(VixVM_BeginReplay(vm, NONE, 0, NONE, NULL, NULL), VIX_E_NOT_SUPPORTED);
    CHECK_JOB(VixVM_EndReplay(vm, 0, NONE, NULL, NULL), VIX_E_NOT_SUPPORTED);
    CHECK_JOB(VixVM_OpenUrlInGuest(vm, "http://localhost/", 0, NONE, NULL, NULL),
              VIX_E_NOT_SUPPORTED);
    Vix_ReleaseHandle(vm);
}

static void disconnected_host_is_gone(VixHandle host, char **args)
{
    VixHandle other = connect_to(VIX_SERVICEPROVIDER_VMWARE_WORKSTATION);
    VixHandle vm = open_vm(other, args[0]);
    VixHandle snapshot = snapshot_named(vm, "cold");
    VixHandle mine = open_vm(host, args[0]);
    char *name = NULL;
    Vix_AddRefHandle(other);
    VixHost_Disconnect(other);
    calls_on_a_host(other, VIX_E_HOST_NOT_CONNECTED);
    calls_on_a_vm(vm, VIX_E_VM_HOST_DISCONNECTED);
    questions(vm, snapshot, VIX_E_VM_HOST_DISCONNECTED);
    CHECK_ERROR(Vix_GetProperties(vm, VIX_PROPERTY_VM_NAME, &name, VIX_PROPERTY_NONE),
                VIX_E_VM_HOST_DISCONNECTED);
    CHECK(name == NULL);
    Vix_ReleaseHandle(snapshot);
    Vix_ReleaseHandle(vm);
    Vix_ReleaseHandle(other);
    CHECK_NUMBER(Vix_GetHandleType(other), VIX_HANDLETYPE_NONE);
    /* Another connection has nothing to do with it. */
    check_text_of(mine, VIX_PROPERTY_VM_NAME, "base");
    Vix_ReleaseHandle(mine);
}

static const Test TESTS[] = {
    {"handles_have_types", handles_have_types},
    {"references_are_counted", references_are_counted},
    {"objects_keep_what_they_need", objects_keep_what_they_need},
    {"stale_handles_are_told", stale_handles_are_told},
    {"handles_of_other_types_are_told", handles_of_other_types_are_told},
    {"recording_is_history", recording_is_history},
    {"disconnected_host_is_gone", disconnected_host_is_gone},
    {NULL, NULL}};

int main(int argc, char **argv)
{
    return run_test(TESTS, argc, argv);
}
