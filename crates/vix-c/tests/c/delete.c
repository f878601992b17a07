/*
 * delete.c: the end of VMs and of snapshots, and who must not end before whom.
 *
 * First argument: the VM's .vmx; then what a test says.
 */
#include "check.h"

/* Deletes a VM with its disks, which must fail; what is said holds every one of `words`. */
static void refuses(VixHandle vm, VixError expected, char **words)
{
    VixHandle job = VixVM_Delete(vm, VIX_VMDELETE_DISK_FILES, NULL, NULL);
    char *message = message_of(job);
    char **word;
    for (word = words; *word != NULL; word++) {
        CHECK_SAYS(message, *word);
    }
    Vix_FreeBuffer(message);
    CHECK_JOB(job, expected);
    CHECK_JOB(VixVM_Delete(vm, 0, NULL, NULL), expected);
}

/* All other arguments: words that are said. */
static void parent_is_busy(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    refuses(vm, VIX_E_OBJECT_IS_BUSY, args + 1);
    Vix_ReleaseHandle(vm);
}

static void running_vm_stays(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    char *none = NULL;
    CHECK_JOB(starting(vm), VIX_OK);
    refuses(vm, VIX_E_VM_IS_RUNNING, &none);
    CHECK_JOB(stopping(vm), VIX_OK);
    Vix_ReleaseHandle(vm);
}

/* The second argument: its folder, which goes while it runs. */
static void vm_without_files_is_stopped(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    char command[4096];
    char *none = NULL;
    CHECK_JOB(starting(vm), VIX_OK);
    Vix_ReleaseHandle(vm);
    CHECK(snprintf(command, sizeof(command), "rm -r '%s'", args[1]) < (int)sizeof(command));
    CHECK(system(command) == 0);
    vm = open_vm(host, args[0]);
    refuses(vm, VIX_E_VM_IS_RUNNING, &none);
    CHECK_JOB(stopping(vm), VIX_OK);
    CHECK_JOB(stopping(vm), VIX_E_VM_NOT_FOUND);
    Vix_ReleaseHandle(vm);
}

/* All other arguments: words that are said by the job though it works. */
static void delete_vm(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle job = VixVM_Delete(vm, VIX_VMDELETE_DISK_FILES, NULL, NULL);
    char *message = message_of(job);
    char **word;
    for (word = args + 1; *word != NULL; word++) {
        CHECK_SAYS(message, *word);
    }
    if (args[1] == NULL) {
        CHECK_TEXT(message, "");
    }
    Vix_FreeBuffer(message);
    CHECK_JOB(job, VIX_OK);

    /* The handle stays, and stands for a VM that is no more. */
    CHECK_NUMBER(Vix_GetHandleType(vm), VIX_HANDLETYPE_VM);
    CHECK_JOB(VixVM_Delete(vm, VIX_VMDELETE_DISK_FILES, NULL, NULL), VIX_E_VM_NOT_FOUND);
    CHECK_JOB(starting(vm), VIX_E_VM_NOT_FOUND);
    Vix_ReleaseHandle(vm);
    CHECK_NUMBER(Vix_GetHandleType(vm), VIX_HANDLETYPE_NONE);
    CHECK_JOB(opening(host, args[0]), VIX_E_VM_NOT_FOUND);
}

static void disks_stay_without_the_option(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    CHECK_JOB(VixVM_Delete(vm, 1, NULL, NULL), VIX_E_INVALID_ARG);
    CHECK_JOB(VixVM_Delete(vm, VIX_VMDELETE_DISK_FILES | 4, NULL, NULL), VIX_E_INVALID_ARG);
    CHECK_JOB(VixVM_Delete(vm, 0, NULL, NULL), VIX_OK);
    Vix_ReleaseHandle(vm);
}

/* `cold` has a linked clone; `later`, which was taken after it, has none. */
static void snapshot_with_clones_is_locked(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle cold = snapshot_named(vm, "cold");
    VixHandle later = snapshot_named(vm, "cold/later");
    VixHandle job = VixVM_RemoveSnapshot(vm, cold, 0, NULL, NULL);
    char *message = message_of(job);
    CHECK_SAYS(message, args[1]);
    Vix_FreeBuffer(message);
    CHECK_JOB(job, VIX_E_SNAPSHOT_LOCKED);
    CHECK_JOB(VixVM_RemoveSnapshot(vm, cold, VIX_SNAPSHOT_REMOVE_CHILDREN, NULL, NULL),
              VIX_E_SNAPSHOT_LOCKED);
    check_text_of(cold, VIX_PROPERTY_SNAPSHOT_DISPLAYNAME, "cold");
    check_text_of(later, VIX_PROPERTY_SNAPSHOT_DISPLAYNAME, "later");
    Vix_ReleaseHandle(later);
    Vix_ReleaseHandle(cold);
    Vix_ReleaseHandle(vm);
}

/* What nobody stands on goes: `later` in the same VM, and `cold` once its clone is deleted. */
static void snapshot_without_clones_goes(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle clone = open_vm(host, args[1]);
    VixHandle cold = snapshot_named(vm, "cold");
    VixHandle later = snapshot_named(vm, "later");
    CHECK_JOB(VixVM_RemoveSnapshot(vm, later, 0, NULL, NULL), VIX_OK);
    CHECK_JOB(VixVM_RemoveSnapshot(vm, later, 0, NULL, NULL), VIX_E_SNAPSHOT_NOTFOUND);
    CHECK_JOB(VixVM_RemoveSnapshot(vm, cold, 0, NULL, NULL), VIX_E_SNAPSHOT_LOCKED);
    CHECK_JOB(VixVM_Delete(clone, VIX_VMDELETE_DISK_FILES, NULL, NULL), VIX_OK);
    CHECK_JOB(VixVM_RemoveSnapshot(vm, cold, 0, NULL, NULL), VIX_OK);
    CHECK_NUMBER(root_count(vm), 0);
    Vix_ReleaseHandle(later);
    Vix_ReleaseHandle(cold);
    Vix_ReleaseHandle(clone);
    Vix_ReleaseHandle(vm);
}

static void template_starts_with_a_warning(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle job = starting(vm);
    char *message = message_of(job);
    CHECK_SAYS(message, "template");
    Vix_FreeBuffer(message);
    CHECK_JOB(job, VIX_OK);
    CHECK_JOB(stopping(vm), VIX_OK);
    Vix_ReleaseHandle(vm);
}

static const Test TESTS[] = {
    {"parent_is_busy", parent_is_busy},
    {"running_vm_stays", running_vm_stays},
    {"vm_without_files_is_stopped", vm_without_files_is_stopped},
    {"delete", delete_vm},
    {"disks_stay_without_the_option", disks_stay_without_the_option},
    {"snapshot_with_clones_is_locked", snapshot_with_clones_is_locked},
    {"snapshot_without_clones_goes", snapshot_without_clones_goes},
    {"template_starts_with_a_warning", template_starts_with_a_warning},
    {NULL, NULL}};

int main(int argc, char **argv)
{
    return run_test(TESTS, argc, argv);
}
