/*
 * reference_page.cpp: what the reference page of Clone shows: connect, open a VM, clone it, power the
 * clone on.
 *
 * reference_page HOW VMX CLONE
 *
 * HOW is
 *   wait    a linked clone of the present state
 *   called  the same, a listener being told of each job
 *   named   a linked clone of the snapshot `golden`
 *   tree    the same, the snapshot found by walking the tree
 *   full    a full clone
 */
#include "binding.h"

static void check(const char *what, bool holds)
{
    if (!holds) {
        printf("%s does not hold\n", what);
        exit(1);
    }
}

/* Finds a snapshot by looking at all below another. */
static bool find_below(const Snapshot &parent, const std::string &name, Snapshot &found)
{
    Number count = 0;
    succeed("count children", SNAPSHOT_GET(parent, GetNumChildren, &count));
    for (Number i = 0; i < count; i++) {
        Snapshot child;
        succeed("child", SNAPSHOT_GET(parent, GetChild, i, child.out()));
        if (property(child, VIX_PROPERTY_SNAPSHOT_DISPLAYNAME) == quoted(name)) {
            found = child;
            return true;
        }
        if (find_below(child, name, found)) {
            return true;
        }
    }
    return false;
}

static Snapshot find_snapshot(const std::string &how, const Vm &vm)
{
    Snapshot found;
    if (how == "named") {
        succeed("find by name", VM_GET(vm, GetNamedSnapshot, T("golden"), found.out()));
    }
    if (how == "tree") {
        Snapshot root;
        succeed("root", VM_GET(vm, GetRootSnapshot, 0, root.out()));
        check("golden is below", find_below(root, "golden", found));
    }
    return found;
}

/* Each job with a listener, which hears of its end once. */
static Job told_of(Listener &listener, const Job &job)
{
    Told told = listener.await(job);
    check("told of the completion, once and last", told.completed == 1 && told.wrong == 0);
    check("no error", told.error == 0);
    return job;
}

static void called(const char *vmx, const char *path)
{
    Listener connected, opened, cloned, powered;
    Job job = told_of(connected, connecting(VIX_SERVICEPROVIDER_VMWARE_WORKSTATION, 0, CALL(connected)));
    Host host = made_by<Host>("connect", job);
    job = told_of(opened, HOST_JOB(host, OpenVM, T(vmx), CALL(opened)));
    Vm vm = made_by<Vm>("open", job);
    job = told_of(cloned, VM_JOB(vm, Clone, NO_SNAPSHOT, VIX_CLONETYPE_LINKED, T(path), 0, NO_LIST, CALL(cloned)));
    Vm clone = made_by<Vm>("clone", job);
    told_of(powered, VM_JOB(clone, PowerOn, VIX_VMPOWEROP_NORMAL, NO_LIST, CALL(powered)));
    disconnect(host);
}

static void waiting(const std::string &how, const char *vmx, const char *path)
{
    int type = how == "full" ? VIX_CLONETYPE_FULL : VIX_CLONETYPE_LINKED;
    Host host = here();
    Vm vm = made_by<Vm>("open", HOST_JOB(host, OpenVM, T(vmx), NO_CALLBACK));
    Snapshot snapshot = find_snapshot(how, vm);
    Vm clone = made_by<Vm>("clone", VM_JOB(vm, Clone, snapshot, type, T(path), 0, NO_LIST, NO_CALLBACK));
    succeed("power on", wait(VM_JOB(clone, PowerOn, VIX_VMPOWEROP_NORMAL, NO_LIST, NO_CALLBACK)));
    disconnect(host);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        return 2;
    }
    if (std::string(argv[1]) == "called") {
        called(argv[2], argv[3]);
    } else {
        waiting(argv[1], argv[2], argv[3]);
    }
    return 0;
}
