/*
 * texts.c: texts that are missing, empty, or no UTF-8; places for answers that are missing; texts of
 * errors; what a connection takes.
 *
 * First argument: a VM's .vmx; it has a snapshot `cold`.
 */
#include "check.h"

#define NONE VIX_INVALID_HANDLE
#define BAD "a\xff"

/* Starts connecting with what differs from the ordinary; returns the job. */
static VixHandle connecting(int version,
                            VixServiceProvider provider,
                            const char *name,
                            VixHostOptions options,
                            VixHandle list)
{
    return VixHost_Connect(version, provider, name, 0, NULL, NULL, options, list, NULL, NULL);
}

static void connects(int version, VixServiceProvider provider, const char *name, int options)
{
    VixHandle host = MADE_BY(connecting(version, provider, name, options, NONE));
    CHECK_NUMBER(Vix_GetHandleType(host), VIX_HANDLETYPE_HOST);
    VixHost_Disconnect(host);
    CHECK_NUMBER(Vix_GetHandleType(host), VIX_HANDLETYPE_NONE);
}

static void connection_takes_what_clients_pass(VixHandle host, char **args)
{
    int here = VIX_SERVICEPROVIDER_VMWARE_WORKSTATION;
    (void)host;
    (void)args;
    connects(VIX_API_VERSION, here, NULL, 0);
    connects(VIX_API_VERSION, here, "", 0);
    connects(VIX_API_VERSION, here, "localhost", VIX_HOSTOPTION_VERIFY_SSL_CERT);
    connects(1, here, NULL, 0);
    connects(17, VIX_SERVICEPROVIDER_VMWARE_PLAYER, NULL, 0);
    connects(VIX_API_VERSION, VIX_SERVICEPROVIDER_DEFAULT, NULL, 0);
}

static void connection_refuses_the_rest(VixHandle host, char **args)
{
    int any = VIX_API_VERSION;
    int here = VIX_SERVICEPROVIDER_VMWARE_WORKSTATION;
    (void)args;
    CHECK_JOB(connecting(any, here, "https://elsewhere/sdk", 0, NONE),
              VIX_E_CANNOT_CONNECT_TO_HOST);
    CHECK_JOB(connecting(any, here, BAD, 0, NONE), VIX_E_INVALID_UTF8_STRING);
    CHECK_JOB(connecting(any, 99, NULL, 0, NONE), VIX_E_INVALID_ARG);
    CHECK_JOB(connecting(any, here, NULL, 1, NONE), VIX_E_INVALID_ARG);
    CHECK_JOB(connecting(any, here, NULL, 0, host), VIX_E_INVALID_ARG);
    CHECK_JOB(connecting(-2, here, NULL, 0, NONE), VIX_E_WRAPPER_VERSION_NOT_FOUND);
}

/* Checks what opening and registering make of a path. */
static void check_path(VixHandle host, const char *path, VixError expected)
{
    CHECK_JOB(VixHost_OpenVM(host, path, VIX_VMOPEN_NORMAL, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_Open(host, path, NULL, NULL), expected);
    CHECK_JOB(VixHost_RegisterVM(host, path, NULL, NULL),
              expected == VIX_E_VM_NOT_FOUND ? (VixError)VIX_E_NOT_FOUND : expected);
}

static void path_must_be_a_vms(VixHandle host, char **args)
{
    check_path(host, NULL, VIX_E_INVALID_ARG);
    check_path(host, "", VIX_E_INVALID_ARG);
    check_path(host, BAD, VIX_E_INVALID_UTF8_STRING);
    check_path(host, below(args[0], "none.vmx"), VIX_E_VM_NOT_FOUND);
    CHECK_JOB(VixHost_UnregisterVM(host, NULL, NULL, NULL), VIX_E_INVALID_ARG);
    CHECK_JOB(VixHost_UnregisterVM(host, BAD, NULL, NULL), VIX_E_INVALID_UTF8_STRING);
    CHECK_JOB(VixHost_OpenVM(host, args[0], 1 << 20, NONE, NULL, NULL), VIX_E_INVALID_ARG);
}

/* Checks a text that must be given, in every call that has one; the VM is off. */
static void check_required(VixHandle vm, const char *text, VixError expected)
{
    CHECK_JOB(VixVM_LoginInGuest(vm, text, "p", 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_RunProgramInGuest(vm, text, "", 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_RunScriptInGuest(vm, "/a", text, 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_CopyFileFromHostToGuest(vm, text, "/b", 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_CopyFileFromHostToGuest(vm, "/a", text, 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_CopyFileFromGuestToHost(vm, text, "/b", 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_CopyFileFromGuestToHost(vm, "/a", text, 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_DeleteFileInGuest(vm, text, NULL, NULL), expected);
    CHECK_JOB(VixVM_FileExistsInGuest(vm, text, NULL, NULL), expected);
    CHECK_JOB(VixVM_RenameFileInGuest(vm, text, "/b", 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_RenameFileInGuest(vm, "/a", text, 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_GetFileInfoInGuest(vm, text, NULL, NULL), expected);
    CHECK_JOB(VixVM_ListDirectoryInGuest(vm, text, 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_CreateDirectoryInGuest(vm, text, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_DeleteDirectoryInGuest(vm, text, 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_DirectoryExistsInGuest(vm, text, NULL, NULL), expected);
    CHECK_JOB(VixVM_ReadVariable(vm, VIX_VM_GUEST_VARIABLE, text, 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_WriteVariable(vm, VIX_VM_GUEST_VARIABLE, text, "b", 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_AddSharedFolder(vm, text, "/b", 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_AddSharedFolder(vm, "a", text, 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_SetSharedFolderState(vm, text, "/b", 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_SetSharedFolderState(vm, "a", text, 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_RemoveSharedFolder(vm, text, 0, NULL, NULL), expected);
}

static void required_texts_are_given(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    check_required(vm, NULL, VIX_E_INVALID_ARG);
    check_required(vm, "", VIX_E_INVALID_ARG);
    check_required(vm, BAD, VIX_E_INVALID_UTF8_STRING);
    CHECK_JOB(VixVM_WriteVariable(vm, VIX_VM_GUEST_VARIABLE, "a", NULL, 0, NULL, NULL),
              VIX_E_INVALID_ARG);
    Vix_ReleaseHandle(vm);
}

/* Texts that may be missing must be UTF-8 all the same. */
static void optional_texts_are_utf8(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixError expected = VIX_E_INVALID_UTF8_STRING;
    CHECK_JOB(VixVM_LoginInGuest(vm, "u", BAD, 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_RunProgramInGuest(vm, "/a", BAD, 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_RunScriptInGuest(vm, BAD, "b", 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_WriteVariable(vm, VIX_VM_GUEST_VARIABLE, "a", BAD, 0, NULL, NULL), expected);
    CHECK_JOB(VixVM_CreateSnapshot(vm, BAD, NULL, 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_CreateSnapshot(vm, NULL, BAD, 0, NONE, NULL, NULL), expected);
    CHECK_JOB(VixVM_InstallTools(vm, 0, BAD, NULL, NULL), expected);
    Vix_ReleaseHandle(vm);
}

static void answers_need_a_place(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle cold = snapshot_named(vm, "cold");
    VixHandle job = opening(host, args[0]);
    VixError expected = VIX_E_INVALID_ARG;
    CHECK_ERROR(VixVM_GetNumRootSnapshots(vm, NULL), expected);
    CHECK_ERROR(VixVM_GetRootSnapshot(vm, 0, NULL), expected);
    CHECK_ERROR(VixVM_GetCurrentSnapshot(vm, NULL), expected);
    CHECK_ERROR(VixVM_GetNamedSnapshot(vm, "cold", NULL), expected);
    CHECK_ERROR(VixSnapshot_GetNumChildren(cold, NULL), expected);
    CHECK_ERROR(VixSnapshot_GetChild(cold, 0, NULL), expected);
    CHECK_ERROR(VixSnapshot_GetParent(cold, NULL), expected);
    CHECK_ERROR(VixJob_CheckCompletion(job, NULL), expected);
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_JOB_RESULT_HANDLE, (VixHandle *)NULL,
                            VIX_PROPERTY_NONE),
                expected);
    CHECK_ERROR(VixJob_GetNthProperties(job, 0, VIX_PROPERTY_JOB_RESULT_HANDLE, (VixHandle *)NULL,
                                        VIX_PROPERTY_NONE),
                expected);
    Vix_ReleaseHandle(job);
    Vix_ReleaseHandle(cold);
    Vix_ReleaseHandle(vm);
}

static void errors_have_texts(VixHandle host, char **args)
{
    const char *running = Vix_GetErrorText(VIX_E_VM_IS_RUNNING, NULL);
    VixError code;
    (void)host;
    (void)args;
    for (code = 0; code < 32000; code++) {
        CHECK(Vix_GetErrorText(code, NULL)[0] != '\0');
    }
    CHECK(Vix_GetErrorText((VixError)-1, "de_DE")[0] != '\0');
    /* The bits above the code do not count, and the text is not freed. */
    CHECK_TEXT(Vix_GetErrorText(((VixError)7 << 32) | VIX_E_VM_IS_RUNNING, NULL), running);
    CHECK(strcmp(running, Vix_GetErrorText(VIX_E_VM_NOT_RUNNING, NULL)) != 0);
    CHECK(VIX_FAILED((VixError)1 << 40) && VIX_SUCCEEDED(VIX_OK));
    CHECK_NUMBER(VIX_ERROR_CODE(((VixError)7 << 32) | VIX_E_VM_IS_RUNNING), VIX_E_VM_IS_RUNNING);
}

static const Test TESTS[] = {
    {"connection_takes_what_clients_pass", connection_takes_what_clients_pass},
    {"connection_refuses_the_rest", connection_refuses_the_rest},
    {"path_must_be_a_vms", path_must_be_a_vms},
    {"required_texts_are_given", required_texts_are_given},
    {"optional_texts_are_utf8", optional_texts_are_utf8},
    {"answers_need_a_place", answers_need_a_place},
    {"errors_have_texts", errors_have_texts},
    {NULL, NULL}};

int main(int argc, char **argv)
{
    return run_test(TESTS, argc, argv);
}
