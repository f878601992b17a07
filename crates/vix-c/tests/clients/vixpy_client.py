"""Drives the package `Vixpy`, unmodified, through a VM's life.

usage: vixpy_client.py VMX GREETING

The arguments are those of `vix_client.py`. Where a method of the package cannot work with any
library, what it stands on is called instead.
"""

import gc
import os
import sys
import time

# Loads /usr/lib/vmware-vix/libvixAllProducts.so.
from vixpy import VixException, VixHost, vixpy
from vixpy.vixpy import VixError, VixPowerState, VixPropertyID, VixServiceProvider, VixToolsState

PATIENCE = 120


def refused(call, *args, **more):
    """Returns the code of the package's own exception, which `call` must raise."""
    try:
        call(*args, **more)
    except VixException as error:
        assert error.message and str(error) == f"{error.error} -> {error.message}"
        return error.error
    raise AssertionError(f"{call} succeeded")


def beside(vm, name):
    """The path of a clone `name`."""
    library = os.path.dirname(os.path.dirname(vm.vmx_pathname))
    return os.path.join(library, name, name + ".vmx")


def connects():
    host = VixHost()
    assert host.host_type == VixServiceProvider.VIX_SERVICEPROVIDER_VMWARE_WORKSTATION
    assert host.api_version > 0
    # The property of this name decodes a text that is one already.
    version = vixpy.Vix_GetProperties(host.handle, VixPropertyID.VIX_PROPERTY_HOST_SOFTWARE_VERSION)
    assert version
    refused(VixHost, VixServiceProvider.VIX_SERVICEPROVIDER_VMWARE_SERVER)
    return host


def opens(host, vmx):
    missing = refused(host.open, vmx + ".none")
    assert missing in (VixError.VIX_E_VM_NOT_FOUND, VixError.VIX_E_FILE_NOT_FOUND), missing
    assert vixpy.VixVm(vixpy.VixVM_Open(host.handle, vmx)).vmx_pathname == vmx
    return host.open(vmx)


def has_properties(vm):
    assert vm.name == os.path.basename(vm.vmx_pathname)[:-4]
    assert (vm.num_vcpus, vm.memory_size, vm.guestos) == (1, 128, "other")
    assert (vm.is_running, vm.read_only) == (False, False)
    assert vm.power_state == VixPowerState.VIX_POWERSTATE_POWERED_OFF
    assert vm.tools_state != VixToolsState.VIX_TOOLSSTATE_RUNNING
    assert refused(vixpy.Vix_GetProperties, vm.handle, 1) == VixError.VIX_E_UNRECOGNIZED_PROPERTY


def has_snapshots(vm):
    none = VixError.VIX_E_SNAPSHOT_NOTFOUND
    assert vm.num_rootsnapshots() == 0
    assert refused(vm.get_currentsnapshot) == none
    # The package does not keep the handle of a snapshot that it made.
    vm.snapshot("first", "what it was: “ü”")
    vm.snapshot("second", memory=False)
    first, second = vm.get_rootsnapshot(0), vm.get_currentsnapshot()
    assert (first.displayname, first.description) == ("first", "what it was: “ü”")
    assert (second.displayname, second.description) == ("second", "")
    assert vm.num_rootsnapshots() == first.num_children() == 1
    assert first.get_child(0).displayname == "second"
    assert second.get_parent().displayname == "first"
    assert vm.get_namedsnapshot("first/second").displayname == "second"
    assert refused(first.get_parent) == none
    refused(vm.get_rootsnapshot, 1)
    refused(first.get_child, -1)

    # `revert` names a variable that it does not have.
    vixpy.VixVM_RevertToSnapshot(vm.handle, first.handle, 0)
    vm.snapshot("second")
    assert refused(vm.get_namedsnapshot, "second") == VixError.VIX_E_SNAPSHOT_NONUNIQUE_NAME
    vm.del_snapshot(second)
    assert vm.get_namedsnapshot("second").displayname == "second"
    return first


def clones(host, vm, first):
    vm.clone(beside(vm, "full"))
    vm.clone(beside(vm, "linked"), linked=True)
    vm.clone(beside(vm, "past"), first, linked=True)
    assert vm.get_currentsnapshot().displayname == "Clone"
    assert refused(vm.clone, beside(vm, "full")) == VixError.VIX_E_FILE_ALREADY_EXISTS
    assert refused(vm.clone, "relative.vmx") == VixError.VIX_E_INVALID_ARG
    assert refused(vm.delete) == VixError.VIX_E_OBJECT_IS_BUSY
    assert refused(vm.del_snapshot, first, children=True) == VixError.VIX_E_SNAPSHOT_LOCKED
    past = host.open(beside(vm, "past"))
    past.delete()
    assert not os.path.exists(beside(vm, "past"))
    assert refused(past.on) == VixError.VIX_E_VM_NOT_FOUND
    return host.open(beside(vm, "linked"))


def has_variables(vm):
    assert vm.read_config_var("displayName") == vm.name
    assert vm.read_config_var("no.such.key") == ""


def greeting(vm, wanted):
    """Waits until the guest has said `wanted`."""
    deadline = time.monotonic() + PATIENCE
    file = os.path.join(os.path.dirname(vm.vmx_pathname), "serial.txt")
    text = ""
    while wanted not in text:
        assert time.monotonic() < deadline, text
        time.sleep(0.05)
        if os.path.exists(file):
            with open(file, errors="replace") as serial:
                text = serial.read()


def has_guest(vm):
    # `wait` gives too few arguments.
    vixpy.VixJob_Wait(vixpy._VixVM_WaitForToolsInGuest(vm.handle, PATIENCE, None, None))
    assert vm.tools_state == VixToolsState.VIX_TOOLSSTATE_RUNNING
    nobody = VixError.VIX_E_CANNOT_AUTHENTICATE_WITH_GUEST
    assert refused(vm.ps) == nobody
    assert refused(vm.login, "bob", "wrong") == nobody
    vm.login("bob", "bob-secret")

    property = VixPropertyID
    run = vm.run("/bin/sh", "-c 'exit 7'")
    assert run[property.VIX_PROPERTY_JOB_RESULT_GUEST_PROGRAM_EXIT_CODE] == 7, run
    assert run[property.VIX_PROPERTY_JOB_RESULT_PROCESS_ID] > 1, run
    run = vm.script("/bin/sh", "echo said >/home/bob/said")
    assert run[property.VIX_PROPERTY_JOB_RESULT_GUEST_PROGRAM_EXIT_CODE] == 0, run
    refused(vm.run, "/no/such/program")
    sleep = vm.run("/bin/sleep", "604", wait=False)[property.VIX_PROPERTY_JOB_RESULT_PROCESS_ID]

    def commands():
        return {one[property.VIX_PROPERTY_JOB_RESULT_PROCESS_ID]: one[property.VIX_PROPERTY_JOB_RESULT_PROCESS_COMMAND]
                for one in vm.ps()}

    assert commands()[sleep] == "/bin/sleep 604"
    vm.kill(sleep)
    assert sleep not in commands()

    home = os.path.dirname(vm.vmx_pathname)
    there, back = os.path.join(home, "there"), os.path.join(home, "back")
    with open(there, "w") as file:
        file.write("from the host\n" * 1000)
    vm.copy_to(there, "/home/bob/there")
    assert vm.stat("/home/bob/there")[property.VIX_PROPERTY_JOB_RESULT_FILE_SIZE] == 14000
    vm.rename("/home/bob/there", "/home/bob/kept")
    vm.copy_from("/home/bob/kept", back)
    with open(there) as one, open(back) as other:
        assert one.read() == other.read()
    names = {one[property.VIX_PROPERTY_JOB_RESULT_ITEM_NAME] for one in vm.ls("/home/bob")}
    assert names == {"said", "kept"}, names
    vm.mkdir("/home/bob/a")
    assert vm.exists_dir("/home/bob/a") and not vm.exists_dir("/home/bob/kept")
    vm.rmdir("/home/bob/a")
    assert vm.exists_file("/home/bob/kept")
    vm.rm("/home/bob/kept")
    assert not vm.exists_file("/home/bob/kept")
    assert vm.exists_file(vm.mktemp())
    vm.write_guest_var("said", "hello")
    assert vm.read_guest_var("said") == "hello"
    assert vm.read_env_var("HOME") == "/home/bob"
    vm.logout()
    assert refused(vm.ps) == nobody


def runs(host, vm, wanted):
    assert host.list() == []
    assert refused(vm.off) == VixError.VIX_E_VM_NOT_RUNNING
    vm.on()
    running = VixError.VIX_E_VM_IS_RUNNING
    try:
        assert vm.is_running is True and VixPowerState.VIX_POWERSTATE_POWERED_ON in vm.power_state
        # Each call frees its callback when the wait has returned; nothing may come after.
        for _ in range(100):
            assert host.list() == [vm.vmx_pathname]
            gc.collect(0)
        greeting(vm, wanted)
        assert refused(vm.on) == running
        assert refused(vm.delete) == running
        assert refused(vm.clone, beside(vm, "other")) == running
        has_guest(vm)
    finally:
        vm.off()
    assert vm.power_state == VixPowerState.VIX_POWERSTATE_POWERED_OFF
    assert host.list() == []


def main(vmx, wanted):
    host = connects()
    vm = opens(host, vmx)
    has_properties(vm)
    has_variables(vm)
    first = has_snapshots(vm)
    linked = clones(host, vm, first)
    runs(host, linked, wanted)
    linked.delete()
    assert refused(lambda: linked.name) == VixError.VIX_E_VM_NOT_FOUND
    # The host goes first: what was opened through it is released later all the same.
    del host
    refused(lambda: vm.name)
    print("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
