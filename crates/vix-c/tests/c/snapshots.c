/*
 * snapshots.c: the tree of a VM's snapshots, their names, and what is done with them.
 *
 * First argument: the VM's .vmx; then what a test says.
 */
#include "check.h"

static VixHandle take(VixHandle vm, const char *name)
{
    return MADE_BY(taking(vm, name));
}

static void go_back(VixHandle vm, VixHandle snapshot)
{
    CHECK_JOB(VixVM_RevertToSnapshot(vm, snapshot, VIX_VMPOWEROP_NORMAL, VIX_INVALID_HANDLE, NULL,
                                     NULL),
              VIX_OK);
}

static int child_count(VixHandle snapshot)
{
    int count = -1;
    CHECK_ERROR(VixSnapshot_GetNumChildren(snapshot, &count), VIX_OK);
    return count;
}

/* Checks the name of a snapshot and releases it. */
static void is_called(VixHandle snapshot, const char *name)
{
    check_text_of(snapshot, VIX_PROPERTY_SNAPSHOT_DISPLAYNAME, name);
    Vix_ReleaseHandle(snapshot);
}

static VixHandle child_of(VixHandle snapshot, int index)
{
    VixHandle child = VIX_INVALID_HANDLE;
    CHECK_ERROR(VixSnapshot_GetChild(snapshot, index, &child), VIX_OK);
    return child;
}

static VixHandle parent_of(VixHandle snapshot)
{
    VixHandle parent = VIX_INVALID_HANDLE;
    CHECK_ERROR(VixSnapshot_GetParent(snapshot, &parent), VIX_OK);
    return parent;
}

static VixHandle current_of(VixHandle vm)
{
    VixHandle current = VIX_INVALID_HANDLE;
    CHECK_ERROR(VixVM_GetCurrentSnapshot(vm, &current), VIX_OK);
    return current;
}

static void vm_without_snapshots(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle none = 4711;
    CHECK_NUMBER(root_count(vm), 0);
    CHECK_ERROR(VixVM_GetRootSnapshot(vm, 0, &none), VIX_E_INVALID_ARG);
    CHECK_ERROR(VixVM_GetCurrentSnapshot(vm, &none), VIX_E_SNAPSHOT_NOTFOUND);
    CHECK_ERROR(VixVM_GetNamedSnapshot(vm, "any", &none), VIX_E_SNAPSHOT_NOTFOUND);
    CHECK_ERROR(VixVM_GetNamedSnapshot(vm, "", &none), VIX_E_INVALID_ARG);
    CHECK_ERROR(VixVM_GetNamedSnapshot(vm, NULL, &none), VIX_E_INVALID_ARG);
    CHECK_ERROR(VixVM_GetNamedSnapshot(vm, "\xff", &none), VIX_E_INVALID_UTF8_STRING);
    CHECK_NUMBER(none, 4711);
    Vix_ReleaseHandle(vm);
}

/* a - b - c, and b has a second child d. */
static void tree_is_walked(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle a = take(vm, "a");
    VixHandle b = take(vm, "b");
    VixHandle c = take(vm, "c");
    VixHandle d;
    VixHandle none = VIX_INVALID_HANDLE;
    go_back(vm, b);
    is_called(current_of(vm), "b");
    d = take(vm, "d");
    is_called(current_of(vm), "d");

    CHECK_NUMBER(root_count(vm), 1);
    CHECK_NUMBER(child_count(a), 1);
    CHECK_NUMBER(child_count(b), 2);
    CHECK_NUMBER(child_count(c), 0);
    CHECK_NUMBER(child_count(d), 0);
    is_called(child_of(a, 0), "b");
    is_called(child_of(b, 0), "c");
    is_called(child_of(b, 1), "d");
    is_called(parent_of(d), "b");
    is_called(parent_of(b), "a");
    CHECK_ERROR(VixSnapshot_GetParent(a, &none), VIX_E_SNAPSHOT_NOTFOUND);
    CHECK_ERROR(VixSnapshot_GetChild(b, 2, &none), VIX_E_INVALID_ARG);
    CHECK_ERROR(VixSnapshot_GetChild(b, -1, &none), VIX_E_INVALID_ARG);
    CHECK_ERROR(VixVM_GetRootSnapshot(vm, 1, &none), VIX_E_INVALID_ARG);
    CHECK_ERROR(VixVM_GetRootSnapshot(vm, -1, &none), VIX_E_INVALID_ARG);
    CHECK_NUMBER(none, VIX_INVALID_HANDLE);

    Vix_ReleaseHandle(vm);
    /* A snapshot keeps its VM. */
    is_called(parent_of(c), "b");
    Vix_ReleaseHandle(d);
    Vix_ReleaseHandle(c);
    Vix_ReleaseHandle(b);
    Vix_ReleaseHandle(a);
}

static void name_may_fit_several(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle a = take(vm, "x");
    VixHandle b = take(vm, "x");
    VixHandle c = take(vm, "y");
    VixHandle found = VIX_INVALID_HANDLE;
    VixHandle parent;
    CHECK_ERROR(VixVM_GetNamedSnapshot(vm, "x", &found), VIX_E_SNAPSHOT_NONUNIQUE_NAME);
    CHECK_NUMBER(found, VIX_INVALID_HANDLE);
    CHECK_ERROR(VixVM_GetNamedSnapshot(vm, "z", &found), VIX_E_SNAPSHOT_NOTFOUND);
    CHECK_ERROR(VixVM_GetNamedSnapshot(vm, "y/x", &found), VIX_E_SNAPSHOT_NOTFOUND);
    is_called(snapshot_named(vm, "y"), "y");
    is_called(snapshot_named(vm, "x/x/y"), "y");
    is_called(snapshot_named(vm, "x\\y"), "y");
    /* The only x that is below an x is the second. */
    found = snapshot_named(vm, "x/x");
    parent = parent_of(found);
    CHECK_ERROR(VixSnapshot_GetParent(parent, &found), VIX_E_SNAPSHOT_NOTFOUND);
    Vix_ReleaseHandle(parent);
    Vix_ReleaseHandle(found);
    Vix_ReleaseHandle(c);
    Vix_ReleaseHandle(b);
    Vix_ReleaseHandle(a);
    Vix_ReleaseHandle(vm);
}

static void names_are_any_text(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle none = MADE_BY(VixVM_CreateSnapshot(vm, NULL, NULL, 0, VIX_INVALID_HANDLE, NULL, NULL));
    VixHandle some = MADE_BY(VixVM_CreateSnapshot(vm, "\xe6\x97\xa5 \"q\"", "two\nlines",
                                                  VIX_SNAPSHOT_INCLUDE_MEMORY, VIX_INVALID_HANDLE,
                                                  NULL, NULL));
    check_text_of(none, VIX_PROPERTY_SNAPSHOT_DISPLAYNAME, "");
    check_text_of(none, VIX_PROPERTY_SNAPSHOT_DESCRIPTION, "");
    check_text_of(some, VIX_PROPERTY_SNAPSHOT_DISPLAYNAME, "\xe6\x97\xa5 \"q\"");
    check_text_of(some, VIX_PROPERTY_SNAPSHOT_DESCRIPTION, "two\nlines");
    /* There was no memory to include: the VM is off. */
    CHECK_NUMBER(number_of(some, VIX_PROPERTY_SNAPSHOT_POWERSTATE), VIX_POWERSTATE_POWERED_OFF);
    CHECK_JOB(VixVM_CreateSnapshot(vm, "n\xc3", "", 0, VIX_INVALID_HANDLE, NULL, NULL),
              VIX_E_INVALID_UTF8_STRING);
    CHECK_JOB(VixVM_CreateSnapshot(vm, "n", "\xff", 0, VIX_INVALID_HANDLE, NULL, NULL),
              VIX_E_INVALID_UTF8_STRING);
    CHECK_JOB(VixVM_CreateSnapshot(vm, "n", "", 1, VIX_INVALID_HANDLE, NULL, NULL),
              VIX_E_INVALID_ARG);
    CHECK_JOB(VixVM_CreateSnapshot(vm, "n", "", 0, vm, NULL, NULL), VIX_E_INVALID_ARG);
    Vix_ReleaseHandle(some);
    Vix_ReleaseHandle(none);
    Vix_ReleaseHandle(vm);
}

static void removed_snapshot_is_gone(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle a = take(vm, "a");
    VixHandle b = take(vm, "b");
    VixHandle c = take(vm, "c");
    VixHandle none = VIX_INVALID_HANDLE;
    char *name = NULL;
    int count = -1;
    CHECK_JOB(VixVM_RemoveSnapshot(vm, b, 1 << 8, NULL, NULL), VIX_E_INVALID_ARG);
    CHECK_JOB(VixVM_RemoveSnapshot(vm, b, 0, NULL, NULL), VIX_OK);
    is_called(child_of(a, 0), "c");
    CHECK_ERROR(Vix_GetProperties(b, VIX_PROPERTY_SNAPSHOT_DISPLAYNAME, &name, VIX_PROPERTY_NONE),
                VIX_E_SNAPSHOT_NOTFOUND);
    CHECK_ERROR(VixSnapshot_GetNumChildren(b, &count), VIX_E_SNAPSHOT_NOTFOUND);
    CHECK_ERROR(VixSnapshot_GetParent(b, &none), VIX_E_SNAPSHOT_NOTFOUND);
    CHECK_JOB(VixVM_RevertToSnapshot(vm, b, 0, VIX_INVALID_HANDLE, NULL, NULL),
              VIX_E_SNAPSHOT_NOTFOUND);
    CHECK_JOB(cloning(vm, b, VIX_CLONETYPE_LINKED, below(args[1], "no/no.vmx")),
              VIX_E_SNAPSHOT_NOTFOUND);
    CHECK_JOB(VixVM_RemoveSnapshot(vm, a, VIX_SNAPSHOT_REMOVE_CHILDREN, NULL, NULL), VIX_OK);
    CHECK_NUMBER(root_count(vm), 0);
    CHECK_NUMBER(Vix_GetHandleType(c), VIX_HANDLETYPE_SNAPSHOT);
    Vix_ReleaseHandle(c);
    Vix_ReleaseHandle(b);
    Vix_ReleaseHandle(a);
    Vix_ReleaseHandle(vm);
}

/* Second argument: another VM. */
static void snapshot_of_another_vm(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle other = open_vm(host, args[1]);
    VixHandle mine = take(vm, "s");
    VixHandle others = take(other, "s");
    VixHandle same = open_vm(host, args[0]);
    CHECK_JOB(VixVM_RevertToSnapshot(vm, others, 0, VIX_INVALID_HANDLE, NULL, NULL),
              VIX_E_INVALID_ARG);
    CHECK_JOB(VixVM_RemoveSnapshot(vm, others, 0, NULL, NULL), VIX_E_INVALID_ARG);
    /* Another handle of the same VM is no other VM. */
    go_back(same, mine);
    Vix_ReleaseHandle(same);
    Vix_ReleaseHandle(others);
    Vix_ReleaseHandle(mine);
    Vix_ReleaseHandle(other);
    Vix_ReleaseHandle(vm);
}

static void revert_takes_known_options(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle s = take(vm, "s");
    int alone = VIX_VMPOWEROP_SUPPRESS_SNAPSHOT_POWERON;
    CHECK_JOB(VixVM_RevertToSnapshot(vm, s, alone, VIX_INVALID_HANDLE, NULL, NULL), VIX_OK);
    CHECK_JOB(VixVM_RevertToSnapshot(vm, s, VIX_VMPOWEROP_LAUNCH_GUI, VIX_INVALID_HANDLE, NULL,
                                     NULL),
              VIX_OK);
    CHECK_JOB(VixVM_RevertToSnapshot(vm, s, alone | VIX_VMPOWEROP_LAUNCH_GUI, VIX_INVALID_HANDLE,
                                     NULL, NULL),
              VIX_E_INVALID_ARG);
    CHECK_JOB(VixVM_RevertToSnapshot(vm, s, 0, s, NULL, NULL), VIX_E_INVALID_ARG);
    CHECK_JOB(VixVM_RevertToSnapshot(vm, VIX_INVALID_HANDLE, 0, VIX_INVALID_HANDLE, NULL, NULL),
              VIX_E_INVALID_HANDLE);
    Vix_ReleaseHandle(s);
    Vix_ReleaseHandle(vm);
}

static void player_has_no_snapshots(VixHandle host, char **args)
{
    VixHandle player = connect_to(VIX_SERVICEPROVIDER_VMWARE_PLAYER);
    VixHandle vm = open_vm(player, args[0]);
    VixHandle own = open_vm(host, args[0]);
    VixHandle s = take(own, "s");
    VixHandle none = VIX_INVALID_HANDLE;
    int count = -1;
    CHECK_JOB(taking(vm, "t"), VIX_E_NOT_SUPPORTED);
    CHECK_JOB(VixVM_RevertToSnapshot(vm, s, 0, VIX_INVALID_HANDLE, NULL, NULL),
              VIX_E_NOT_SUPPORTED);
    CHECK_JOB(VixVM_RemoveSnapshot(vm, s, 0, NULL, NULL), VIX_E_NOT_SUPPORTED);
    CHECK_ERROR(VixVM_GetNumRootSnapshots(vm, &count), VIX_E_NOT_SUPPORTED);
    CHECK_ERROR(VixVM_GetRootSnapshot(vm, 0, &none), VIX_E_NOT_SUPPORTED);
    CHECK_ERROR(VixVM_GetCurrentSnapshot(vm, &none), VIX_E_NOT_SUPPORTED);
    CHECK_ERROR(VixVM_GetNamedSnapshot(vm, "s", &none), VIX_E_NOT_SUPPORTED);
    CHECK_NUMBER(none, VIX_INVALID_HANDLE);
    CHECK_NUMBER(root_count(own), 1);
    Vix_ReleaseHandle(s);
    Vix_ReleaseHandle(own);
    Vix_ReleaseHandle(vm);
    VixHost_Disconnect(player);
}

static const Test TESTS[] = {
    {"vm_without_snapshots", vm_without_snapshots},
    {"tree_is_walked", tree_is_walked},
    {"name_may_fit_several", name_may_fit_several},
    {"names_are_any_text", names_are_any_text},
    {"removed_snapshot_is_gone", removed_snapshot_is_gone},
    {"snapshot_of_another_vm", snapshot_of_another_vm},
    {"revert_takes_known_options", revert_takes_known_options},
    {"player_has_no_snapshots", player_has_no_snapshots},
    {NULL, NULL}};

int main(int argc, char **argv)
{
    return run_test(TESTS, argc, argv);
}
