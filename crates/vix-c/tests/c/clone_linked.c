/*
 * clone_linked.c: linked clones and what they stand on; full clones, which stand on nothing.
 *
 * Arguments: the base VM's .vmx, a folder for clones, then what a test says.
 */
#include "check.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

static VixCloneType type_of(const char *word)
{
    return strcmp(word, "full") == 0 ? VIX_CLONETYPE_FULL : VIX_CLONETYPE_LINKED;
}

/* Makes a linked clone of the present state, at FOLDER/NAME. */
static void link_to(VixHandle vm, const char *folder, const char *name)
{
    Vix_ReleaseHandle(MADE_BY(cloning(vm, VIX_INVALID_HANDLE, VIX_CLONETYPE_LINKED,
                                      below(folder, name))));
}

/* Arguments: VM, destination, `full` or `linked`, snapshot or "-". */
static void clone_vm(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle snapshot = snapshot_named(vm, args[3]);
    VixHandle clone = MADE_BY(cloning(vm, snapshot, type_of(args[2]), args[1]));
    Vix_ReleaseHandle(snapshot);
    Vix_ReleaseHandle(vm);
    CHECK_NUMBER(number_of(clone, VIX_PROPERTY_VM_POWER_STATE), VIX_POWERSTATE_POWERED_OFF);
    CHECK_NUMBER(root_count(clone), 0);
    check_text_of(clone, VIX_PROPERTY_VM_VMX_PATHNAME, args[1]);
    Vix_ReleaseHandle(clone);
}

/* Checks that `snapshot` was made for a clone. */
static void check_base(VixHandle snapshot)
{
    check_text_of(snapshot, VIX_PROPERTY_SNAPSHOT_DISPLAYNAME, "Clone");
    check_text_of(snapshot, VIX_PROPERTY_SNAPSHOT_DESCRIPTION, "Created by clone operation.");
    CHECK_NUMBER(number_of(snapshot, VIX_PROPERTY_SNAPSHOT_POWERSTATE),
                 VIX_POWERSTATE_POWERED_OFF);
}

static void each_clone_of_now_takes_a_snapshot(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle first = VIX_INVALID_HANDLE;
    VixHandle second = VIX_INVALID_HANDLE;
    VixHandle parent = VIX_INVALID_HANDLE;
    VixHandle none = VIX_INVALID_HANDLE;
    int count = -1;

    link_to(vm, args[1], "one/one.vmx");
    CHECK_ERROR(VixVM_GetNamedSnapshot(vm, "Clone", &first), VIX_OK);
    check_base(first);
    CHECK_NUMBER(root_count(vm), 1);

    link_to(vm, args[1], "two/two.vmx");
    CHECK_ERROR(VixVM_GetNamedSnapshot(vm, "Clone", &none), VIX_E_SNAPSHOT_NONUNIQUE_NAME);
    CHECK_NUMBER(none, VIX_INVALID_HANDLE);
    CHECK_NUMBER(root_count(vm), 1);
    CHECK_ERROR(VixSnapshot_GetNumChildren(first, &count), VIX_OK);
    CHECK_NUMBER(count, 1);
    CHECK_ERROR(VixVM_GetCurrentSnapshot(vm, &second), VIX_OK);
    check_base(second);
    CHECK_ERROR(VixSnapshot_GetParent(second, &parent), VIX_OK);
    check_base(parent);
    CHECK_ERROR(VixSnapshot_GetParent(parent, &none), VIX_E_SNAPSHOT_NOTFOUND);

    Vix_ReleaseHandle(parent);
    Vix_ReleaseHandle(second);
    Vix_ReleaseHandle(first);
    Vix_ReleaseHandle(vm);
}

static void clone_of_a_snapshot_takes_none(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle cold = snapshot_named(vm, "cold");
    VixHandle child = VIX_INVALID_HANDLE;
    int before = -1;
    int after = -1;
    CHECK_ERROR(VixSnapshot_GetNumChildren(cold, &before), VIX_OK);
    Vix_ReleaseHandle(MADE_BY(cloning(vm, cold, VIX_CLONETYPE_LINKED,
                                      below(args[1], "one/one.vmx"))));
    CHECK_ERROR(VixSnapshot_GetNumChildren(cold, &after), VIX_OK);
    CHECK_NUMBER(after, before);
    CHECK_ERROR(VixVM_GetNamedSnapshot(vm, "Clone", &child), VIX_E_SNAPSHOT_NOTFOUND);
    Vix_ReleaseHandle(cold);
    Vix_ReleaseHandle(vm);
}

/* Third argument: how many clones are made, one after the other. */
static void depth_grows_by_one(VixHandle host, char **args)
{
    struct rlimit files = {1024, 1024};
    int count = atoi(args[2]);
    VixHandle vm = open_vm(host, args[0]);
    int i;
    CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
    for (i = 1; i <= count; i++) {
        char name[64];
        sprintf(name, "deep%d/deep.vmx", i);
        link_to(vm, args[1], name);
    }
    Vix_ReleaseHandle(vm);
    vm = open_vm(host, below(args[1], "deep1/deep.vmx"));
    Vix_ReleaseHandle(vm);
    vm = open_vm(host, args[0]);
    Vix_ReleaseHandle(MADE_BY(cloning(vm, VIX_INVALID_HANDLE, VIX_CLONETYPE_FULL,
                                      below(args[1], "full/full.vmx"))));
    Vix_ReleaseHandle(vm);
}

/*
 * Files may not grow beyond a limit, as on a disk that gets full. Third argument: `full` or `linked`; fourth: the limit in bytes.
 * Prints what the clone came to.
 */
static void clone_with_small_files(VixHandle host, char **args)
{
    struct rlimit size;
    VixHandle vm = open_vm(host, args[0]);
    VixHandle job;
    VixError error;
    size.rlim_cur = (rlim_t)atol(args[3]);
    size.rlim_max = size.rlim_cur;
    signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &size) == 0);
    job = cloning(vm, VIX_INVALID_HANDLE, type_of(args[2]), below(args[1], "new/new.vmx"));
    error = VixJob_Wait(job, VIX_PROPERTY_NONE);
    if (error != VIX_OK) {
        CHECK_ERROR(error, VIX_E_DISK_FULL);
    }
    CHECK_JOB(job, error);
    Vix_ReleaseHandle(vm);
    /* Standard output may be a file, too. */
    printf(error == VIX_OK ? "made\n" : "failed\n");
}

/* Arguments: VM, destination, `full` or `linked`, the code that the clone ends with, words. */
static void clone_fails(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle job = cloning(vm, VIX_INVALID_HANDLE, type_of(args[2]), args[1]);
    char *message = message_of(job);
    char **word;
    for (word = args + 4; *word != NULL; word++) {
        CHECK_SAYS(message, *word);
    }
    Vix_FreeBuffer(message);
    CHECK_JOB(job, (VixError)atol(args[3]));
    Vix_ReleaseHandle(vm);
}

/* The same by a user who has no special rights. */
static void clone_fails_for_a_plain_user(VixHandle host, char **args)
{
    if (geteuid() == 0) {
        CHECK(setgid(65534) == 0 && setuid(65534) == 0);
    }
    clone_fails(host, args);
}

/* Ends this process while a job copies, as a power cut would. */
static void die(VixHandle job, VixEventType event, VixHandle info, void *data)
{
    (void)job;
    (void)info;
    (void)data;
    if (event == VIX_EVENTTYPE_JOB_PROGRESS) {
        kill(getpid(), SIGKILL);
    }
}

/* The base VM has an independent disk, which a linked clone gets a copy of: that takes a while. */
static void process_dies_while_cloning(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle job = VixVM_Clone(vm, VIX_INVALID_HANDLE, VIX_CLONETYPE_LINKED,
                                below(args[1], "new/new.vmx"), 0, VIX_INVALID_HANDLE, die, NULL);
    VixJob_Wait(job, VIX_PROPERTY_NONE);
    CHECK(!"reached after the end");
}

/* Arguments: the clone, a folder for clones, the parent's disk. */
static void clone_without_its_parent_is_of_no_use(VixHandle host, char **args)
{
    const char *destination = below(args[1], "new/new.vmx");
    VixHandle job = opening(host, args[0]);
    char *message = message_of(job);
    VixHandle vm;
    CHECK_SAYS(message, args[2]);
    Vix_FreeBuffer(message);
    vm = MADE_BY(job);
    CHECK_NUMBER(number_of(vm, VIX_PROPERTY_VM_POWER_STATE), VIX_POWERSTATE_POWERED_OFF);
    CHECK_JOB(starting(vm), VIX_E_DISK_OPENPARENT);
    CHECK_JOB(cloning(vm, VIX_INVALID_HANDLE, VIX_CLONETYPE_FULL, destination),
              VIX_E_DISK_OPENPARENT);
    CHECK_JOB(cloning(vm, VIX_INVALID_HANDLE, VIX_CLONETYPE_LINKED, destination),
              VIX_E_DISK_OPENPARENT);
    Vix_ReleaseHandle(vm);
}

/* Does with a VM what one does with VMs; deletes it at the end. Second argument: its clones' folder. */
static void is_a_vm_as_any_other(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    int roots = root_count(vm);
    VixHandle full;
    VixHandle linked;
    VixHandle snapshot;
    CHECK_JOB(VixVM_PowerOn(vm, VIX_VMPOWEROP_LAUNCH_GUI, VIX_INVALID_HANDLE, NULL, NULL), VIX_OK);
    CHECK_NUMBER(number_of(vm, VIX_PROPERTY_VM_POWER_STATE), VIX_POWERSTATE_POWERED_ON);
    CHECK_JOB(stopping(vm), VIX_OK);

    snapshot = MADE_BY(taking(vm, "first"));
    check_text_of(snapshot, VIX_PROPERTY_SNAPSHOT_DISPLAYNAME, "first");
    full = MADE_BY(cloning(vm, VIX_INVALID_HANDLE, VIX_CLONETYPE_FULL,
                           below(args[1], "copy/copy.vmx")));
    linked = MADE_BY(cloning(vm, snapshot, VIX_CLONETYPE_LINKED,
                             below(args[1], "child/child.vmx")));
    CHECK_JOB(VixVM_RevertToSnapshot(vm, snapshot, VIX_VMPOWEROP_NORMAL, VIX_INVALID_HANDLE,
                                     NULL, NULL),
              VIX_OK);
    CHECK_JOB(VixVM_Delete(vm, VIX_VMDELETE_DISK_FILES, NULL, NULL), VIX_E_OBJECT_IS_BUSY);
    CHECK_JOB(VixVM_Delete(full, VIX_VMDELETE_DISK_FILES, NULL, NULL), VIX_OK);
    CHECK_JOB(VixVM_Delete(linked, VIX_VMDELETE_DISK_FILES, NULL, NULL), VIX_OK);
    CHECK_JOB(VixVM_RemoveSnapshot(vm, snapshot, 0, NULL, NULL), VIX_OK);
    CHECK_NUMBER(root_count(vm), roots);
    CHECK_JOB(VixVM_Delete(vm, VIX_VMDELETE_DISK_FILES, NULL, NULL), VIX_OK);
    Vix_ReleaseHandle(snapshot);
    Vix_ReleaseHandle(linked);
    Vix_ReleaseHandle(full);
    Vix_ReleaseHandle(vm);
}

static const Test TESTS[] = {
    {"clone", clone_vm},
    {"each_clone_of_now_takes_a_snapshot", each_clone_of_now_takes_a_snapshot},
    {"clone_of_a_snapshot_takes_none", clone_of_a_snapshot_takes_none},
    {"depth_grows_by_one", depth_grows_by_one},
    {"clone_with_small_files", clone_with_small_files},
    {"clone_fails", clone_fails},
    {"clone_fails_for_a_plain_user", clone_fails_for_a_plain_user},
    {"process_dies_while_cloning", process_dies_while_cloning},
    {"clone_without_its_parent_is_of_no_use", clone_without_its_parent_is_of_no_use},
    {"is_a_vm_as_any_other", is_a_vm_as_any_other},
    {NULL, NULL}};

int main(int argc, char **argv)
{
    return run_test(TESTS, argc, argv);
}
