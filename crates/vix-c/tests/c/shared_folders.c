/*
 * shared_folders.c: folders of the host that a guest is to see, told by jobs.
 *
 * Arguments: the .vmx of a VM that is off and shares nothing; two folders of the host.
 */
#include "check.h"

/* Checks how many there are. */
static void check_count(VixHandle vm, int expected)
{
    int count = -1;
    VixHandle job = VixVM_GetNumSharedFolders(vm, NULL, NULL);
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_JOB_RESULT_SHARED_FOLDER_COUNT, &count,
                            VIX_PROPERTY_NONE),
                VIX_OK);
    CHECK_NUMBER(count, expected);
    Vix_ReleaseHandle(job);
}

/* Checks what one of them is. */
static void check_folder(VixHandle vm, int index, const char *name, const char *host, int flags)
{
    char *its_name = NULL;
    char *its_host = NULL;
    int its_flags = -1;
    VixHandle job = VixVM_GetSharedFolderState(vm, index, NULL, NULL);
    CHECK_ERROR(VixJob_Wait(job,
                            VIX_PROPERTY_JOB_RESULT_ITEM_NAME, &its_name,
                            VIX_PROPERTY_JOB_RESULT_SHARED_FOLDER_HOST, &its_host,
                            VIX_PROPERTY_JOB_RESULT_SHARED_FOLDER_FLAGS, &its_flags,
                            VIX_PROPERTY_NONE),
                VIX_OK);
    CHECK_TEXT(its_name, name);
    CHECK_TEXT(its_host, host);
    CHECK_NUMBER(its_flags, flags);
    Vix_FreeBuffer(its_name);
    Vix_FreeBuffer(its_host);
    Vix_ReleaseHandle(job);
}

static void folders_are_added_changed_and_removed(VixHandle host, char **args)
{
    const int write = VIX_SHAREDFOLDER_WRITE_ACCESS;
    VixHandle vm = open_vm(host, args[0]);
    CHECK(number_of(vm, VIX_PROPERTY_VM_SUPPORTED_FEATURES) & VIX_VM_SUPPORT_SHARED_FOLDERS);
    check_count(vm, 0);
    CHECK_JOB(VixVM_AddSharedFolder(vm, "one", args[1], write, NULL, NULL), VIX_OK);
    CHECK_JOB(VixVM_AddSharedFolder(vm, "two words", args[2], 0, NULL, NULL), VIX_OK);
    check_count(vm, 2);
    check_folder(vm, 0, "one", args[1], write);
    check_folder(vm, 1, "two words", args[2], 0);
    CHECK_JOB(VixVM_SetSharedFolderState(vm, "one", args[2], 0, NULL, NULL), VIX_OK);
    check_folder(vm, 0, "one", args[2], 0);
    CHECK_JOB(VixVM_RemoveSharedFolder(vm, "one", 0, NULL, NULL), VIX_OK);
    check_count(vm, 1);
    check_folder(vm, 0, "two words", args[2], 0);
    CHECK_JOB(VixVM_EnableSharedFolders(vm, FALSE, 0, NULL, NULL), VIX_OK);
    CHECK_JOB(VixVM_EnableSharedFolders(vm, TRUE, 0, NULL, NULL), VIX_OK);
    CHECK_JOB(VixVM_RemoveSharedFolder(vm, "two words", 0, NULL, NULL), VIX_OK);
    check_count(vm, 0);
    Vix_ReleaseHandle(vm);
}

static void wrong_folders_are_refused(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    CHECK_JOB(VixVM_AddSharedFolder(vm, "one", args[1], 0, NULL, NULL), VIX_OK);
    CHECK_JOB(VixVM_AddSharedFolder(vm, "one", args[2], 0, NULL, NULL), VIX_E_ALREADY_EXISTS);
    CHECK_JOB(VixVM_AddSharedFolder(vm, "a/b", args[2], 0, NULL, NULL), VIX_E_INVALID_ARG);
    CHECK_JOB(VixVM_AddSharedFolder(vm, "", args[2], 0, NULL, NULL), VIX_E_INVALID_ARG);
    CHECK_JOB(VixVM_AddSharedFolder(vm, "two", args[2], 8, NULL, NULL), VIX_E_INVALID_ARG);
    CHECK_JOB(VixVM_AddSharedFolder(vm, "two", "/no/such/folder", 0, NULL, NULL),
              VIX_E_FILE_NOT_FOUND);
    CHECK_JOB(VixVM_AddSharedFolder(vm, "two", args[0], 0, NULL, NULL), VIX_E_NOT_A_DIRECTORY);
    CHECK_JOB(VixVM_SetSharedFolderState(vm, "two", args[1], 0, NULL, NULL),
              VIX_E_OBJECT_NOT_FOUND);
    CHECK_JOB(VixVM_RemoveSharedFolder(vm, "two", 0, NULL, NULL), VIX_E_OBJECT_NOT_FOUND);
    CHECK_JOB(VixVM_RemoveSharedFolder(vm, "one", 1, NULL, NULL), VIX_E_INVALID_ARG);
    CHECK_JOB(VixVM_EnableSharedFolders(vm, TRUE, 1, NULL, NULL), VIX_E_INVALID_ARG);
    CHECK_JOB(VixVM_GetSharedFolderState(vm, 1, NULL, NULL), VIX_E_INVALID_ARG);
    CHECK_JOB(VixVM_GetSharedFolderState(vm, -1, NULL, NULL), VIX_E_INVALID_ARG);
    check_count(vm, 1);
    check_folder(vm, 0, "one", args[1], 0);
    CHECK_JOB(VixVM_RemoveSharedFolder(vm, "one", 0, NULL, NULL), VIX_OK);
    Vix_ReleaseHandle(vm);
}

static const Test TESTS[] = {
    {"folders_are_added_changed_and_removed", folders_are_added_changed_and_removed},
    {"wrong_folders_are_refused", wrong_folders_are_refused},
    {NULL, NULL}};

int main(int argc, char **argv)
{
    return run_test(TESTS, argc, argv);
}
