"""Drives the package `vix`, unmodified, through a VM's life.

usage: vix_client.py VMX GREETING

VMX is off, has no snapshots and one disk; the system on it says GREETING on the serial port, which
is the file `serial.txt` beside the VMX. Clones go to folders beside the VM's; the full clone `full`
is left there.
"""

import os
import sys
import threading
import time

# Loads /usr/lib/libvixAllProducts.so.
import vix
from vix import VixError, VixHost, VixVM

PATIENCE = 120


def refused(call, *args, **more):
    """Returns the code of the package's own exception, which `call` must raise."""
    try:
        call(*args, **more)
    except VixError as error:
        text = error.get_error_text()
        assert text and str(error) == f"VixError #{error._error}: {text}", str(error)
        return error._error
    raise AssertionError(f"{call} succeeded")


def beside(vm, name):
    """The path of a clone `name`."""
    library = os.path.dirname(os.path.dirname(vm.vmx_path))
    return os.path.join(library, name, name + ".vmx")


def connects():
    with VixHost() as host:
        info = host.host_info
        assert info.host_type in (VixHost.VIX_SERVICEPROVIDER_DEFAULT,
                                  VixHost.VIX_SERVICEPROVIDER_VMWARE_WORKSTATION), info
        assert info.api_version > 0 and info.software_version, info
    # Disconnected, then released by the package, then released again when it goes.
    host.disconnect()
    server = VixHost.VIX_SERVICEPROVIDER_VMWARE_SERVER
    refused(VixHost, service_provider=server)
    refused(VixHost, VixHost.VIX_SERVICEPROVIDER_VMWARE_VI_SERVER, ("nowhere.invalid", 443), ("a", "b"))
    refused(VixHost, service_provider=99)


def opens(host, vmx):
    missing = refused(host.open_vm, vmx + ".none")
    assert missing in (VixError.VIX_E_VM_NOT_FOUND, VixError.VIX_E_FILE_NOT_FOUND), missing
    assert refused(host.open_vm, "") == VixError.VIX_E_INVALID_ARG
    one, two = host.open_vm(vmx), host.open_vm(vmx)
    del one
    assert two.vmx_path == vmx and repr(two) == f"<VixVM @ {vmx}>"
    return two


def has_properties(vm):
    assert vm.get_type() == VixVM.VIX_HANDLETYPE_VM and vm.is_valid()
    assert vm.name == os.path.basename(vm.vmx_path)[:-4]
    assert vm.machine_info == [1, 128], vm.machine_info
    assert vm.guest_os == "other", vm.guest_os
    assert (vm.is_running, vm.is_readonly) == (False, False)
    assert vm.power_state == VixVM.VIX_POWERSTATE_POWERED_OFF, vm.power_state
    assert vm.tools_state in (VixVM.VIX_TOOLSSTATE_UNKNOWN, VixVM.VIX_TOOLSSTATE_NOT_INSTALLED)
    assert vm.supported_features & VixVM.VIX_VM_SUPPORT_MULTIPLE_SNAPSHOTS
    assert vm.get_properties(VixVM.VIX_PROPERTY_VM_IN_VMTEAM) is False
    assert refused(vm.get_properties, 1) == 6000  # VIX_E_UNRECOGNIZED_PROPERTY
    assert refused(vm.get_properties, VixVM.VIX_PROPERTY_SNAPSHOT_DISPLAYNAME) == 6000


def has_snapshots(vm):
    assert vm.snapshots_get_root_count() == 0
    none = VixError.VIX_E_SNAPSHOT_NOTFOUND
    assert refused(vm.snapshot_get_current) == none
    assert refused(vm.snapshot_get_named, "first") == none
    refused(vm.snapshot_get_root, 0)

    first = vm.create_snapshot("first", "what it was: “ü”")
    second = vm.create_snapshot("second", include_memory=False)
    assert (first.name, first.description) == ("first", "what it was: “ü”")
    assert (second.name, second.description) == ("second", "")
    assert first.power_state == VixVM.VIX_POWERSTATE_POWERED_OFF, first.power_state
    assert vm.snapshots_get_root_count() == 1
    assert vm.snapshot_get_root(0).name == "first"
    assert vm.snapshot_get_current().name == "second"
    assert vm.snapshot_get_named("first/second").name == "second"
    assert second.get_parent().name == "first"
    assert refused(first.get_parent) == none

    vm.snapshot_revert(first)
    sibling = vm.create_snapshot("second", "its sibling")
    assert first.get_num_children() == 2
    children = {first.get_child(index).description for index in range(2)}
    assert children == {"", "its sibling"}, children
    refused(first.get_child, 2)
    assert refused(vm.snapshot_get_named, "second") == VixError.VIX_E_SNAPSHOT_NONUNIQUE_NAME
    vm.snapshot_remove(sibling)
    assert refused(vm.snapshot_remove, sibling) == none
    vm.snapshot_revert(second)
    assert first.get_num_children() == 1
    return first


def clones(host, vm, first):
    full = vm.clone(beside(vm, "full"))
    linked = vm.clone(beside(vm, "linked"), linked=True)
    assert (full.vmx_path, linked.vmx_path) == (beside(vm, "full"), beside(vm, "linked"))
    past = vm.clone(beside(vm, "past"), snapshot=first, linked=True)
    assert past.power_state == VixVM.VIX_POWERSTATE_POWERED_OFF
    assert past.snapshots_get_root_count() == 0
    current = vm.snapshot_get_current()
    assert (current.name, current.description) == ("Clone", "Created by clone operation.")

    exists = VixError.VIX_E_FILE_ALREADY_EXISTS
    assert refused(vm.clone, beside(vm, "full")) == exists
    assert refused(vm.clone, "relative/clone.vmx") == VixError.VIX_E_INVALID_ARG
    assert refused(vm.clone, beside(vm, "other")[:-4]) == VixError.VIX_E_FILE_NAME_INVALID
    assert refused(full.clone, beside(vm, "other"), snapshot=first) == VixError.VIX_E_INVALID_ARG
    assert refused(vm.vm_delete, True) == VixError.VIX_E_OBJECT_IS_BUSY
    assert refused(vm.snapshot_remove, first) == VixError.VIX_E_SNAPSHOT_LOCKED
    past.vm_delete(delete_files=True)
    assert not os.path.exists(beside(vm, "past"))
    assert refused(past.power_on) == VixError.VIX_E_VM_NOT_FOUND
    return linked


def clones_in_threads(vm):
    made = []

    def one(name):
        made.append(vm.clone(beside(vm, name)).name)

    threads = [threading.Thread(target=one, args=(f"thread{n}",)) for n in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(made) == 4, made


def has_variables(vm):
    config = VixVM.VIX_VM_CONFIG_RUNTIME_ONLY
    assert vm.var_read("displayName", config) == vm.name
    assert vm.var_read("no.such.key", config) == ""


def greeting(vm, wanted):
    """Waits until the guest has said `wanted`."""
    deadline = time.monotonic() + PATIENCE
    file = os.path.join(os.path.dirname(vm.vmx_path), "serial.txt")
    text = ""
    while wanted not in text:
        assert time.monotonic() < deadline, text
        time.sleep(0.05)
        if os.path.exists(file):
            with open(file, errors="replace") as serial:
                text = serial.read()


def has_guest(vm):
    vm.wait_for_tools(PATIENCE)
    assert vm.tools_state == VixVM.VIX_TOOLSSTATE_RUNNING, vm.tools_state
    assert vm.power_state & VixVM.VIX_POWERSTATE_TOOLS_RUNNING, vm.power_state
    nobody = VixError.VIX_E_CANNOT_AUTHENTICATE_WITH_GUEST
    assert refused(vm.dir_list, "/") == nobody
    for user, password in [("alice", "wrong"), ("alice", ""), ("nemo", "x"), ("locked", "locked-secret")]:
        assert refused(vm.login, user, password) == nobody, user
    vm.login("alice", "alice-secret")

    run = vm.proc_run("/bin/sh", "-c 'echo \"$1\" >/home/alice/said; exit 7' sh 'one word'")
    assert run.pid > 1 and run.exit_code == 7 and run.elapsed_time >= 0, run
    run = vm.run_script("cat >>/home/alice/said </etc/hostname; exit 3", "/bin/sh")
    assert run.exit_code in (1, 3), run
    assert refused(vm.proc_run, "/no/such/program", should_block=False) == VixError.VIX_E_FILE_NOT_FOUND
    sleep = vm.proc_run("/bin/sleep", "603", should_block=False)
    assert sleep.exit_code is None
    found = [process for process in vm.proc_list() if process.pid == sleep.pid]
    assert [(one.name, one.owner, one.cmd, one.is_debug) for one in found] == [
        ("sleep", "alice", "/bin/sleep 603", False)], found
    vm.proc_kill(sleep.pid)
    assert sleep.pid not in [process.pid for process in vm.proc_list()]
    assert refused(vm.proc_kill, sleep.pid) == 20003  # VIX_E_NO_SUCH_PROCESS
    assert refused(vm.proc_kill, 1) == VixError.VIX_E_FILE_ACCESS_ERROR

    home = os.path.dirname(vm.vmx_path)
    there, back = os.path.join(home, "there “ü”"), os.path.join(home, "back")
    with open(there, "wb") as file:
        file.write(bytes(range(256)) * 4000)
    vm.copy_host_to_guest(there, "/home/alice/there “ü”")
    assert vm.get_file_info("/home/alice/there “ü”").size == 256 * 4000
    vm.file_rename("/home/alice/there “ü”", "/home/alice/kept")
    vm.copy_guest_to_host("/home/alice/kept", back)
    with open(there, "rb") as one, open(back, "rb") as other:
        assert one.read() == other.read()
    names = {(entry.name, entry.is_dir) for entry in vm.dir_list("/home/alice")}
    assert names == {("said", False), ("kept", False)}, names
    vm.create_directory("/home/alice/a/b")
    assert vm.dir_exists("/home/alice/a/b") and not vm.dir_exists("/home/alice/kept")
    assert vm.file_exists("/home/alice/kept") and not vm.file_exists("/home/alice/a")
    assert vm.get_file_info("/home/alice/a").is_dir
    vm.dir_delete("/home/alice/a")
    vm.file_delete("/home/alice/kept")
    assert refused(vm.file_delete, "/home/alice/kept") == VixError.VIX_E_FILE_NOT_FOUND
    assert refused(vm.dir_list, "/home/bob") == VixError.VIX_E_FILE_ACCESS_ERROR
    temporary = vm.create_temp()
    assert vm.file_exists(temporary), temporary

    vm.var_write("said", "hello")
    assert vm.var_read("said") == "hello"
    assert vm.var_read("HOME", VixVM.VIX_GUEST_ENVIRONMENT_VARIABLE) == "/home/alice"
    assert vm.capture_screen_image()[:8] == b"\x89PNG\r\n\x1a\n"
    vm.logout()
    assert refused(vm.dir_list, "/") == nobody


def runs(host, vm, wanted):
    assert host.find_items(names_only=True) == []
    assert refused(vm.power_off) == VixError.VIX_E_VM_NOT_RUNNING
    vm.power_on()
    running = VixError.VIX_E_VM_IS_RUNNING
    try:
        assert vm.is_running and vm.power_state & VixVM.VIX_POWERSTATE_POWERED_ON
        assert host.find_items(names_only=True) == [vm.vmx_path]
        assert [found.vmx_path for found in host.find_items()] == [vm.vmx_path]
        greeting(vm, wanted)
        assert refused(vm.power_on) == running
        assert refused(vm.vm_delete, True) == running
        assert refused(vm.clone, beside(vm, "other")) == running
        assert refused(vm.clone, beside(vm, "other"), linked=True) == running
        has_guest(vm)
    finally:
        vm.power_off()
    assert not vm.is_running and vm.power_state == VixVM.VIX_POWERSTATE_POWERED_OFF
    assert host.find_items() == []


def ends(host, vm, linked):
    linked.vm_delete(delete_files=True)
    assert refused(lambda: linked.name) == VixError.VIX_E_VM_NOT_FOUND
    host.disconnect()
    # It must not be used any more; that is an error, and its release is none.
    refused(lambda: vm.name)
    refused(vm.power_on)


def main(vmx, wanted):
    connects()
    host = VixHost(service_provider=VixHost.VIX_SERVICEPROVIDER_VMWARE_WORKSTATION)
    vm = opens(host, vmx)
    has_properties(vm)
    has_variables(vm)
    first = has_snapshots(vm)
    linked = clones(host, vm, first)
    clones_in_threads(vm)
    runs(host, linked, wanted)
    ends(host, vm, linked)
    print("done", vix.__version__)


if __name__ == "__main__":
    main(*sys.argv[1:])
