"""Drives the package `vmrunPacked`, unmodified.

usage: vmrun_packed_client.py VMX

VMX runs, with the test guest up and the snapshot `base`; it is left so. Methods of the package that ask for
something else than their name says are left out.
"""

import os
import sys

from vmrunPacked import Pack


def says(lines, *wanted):
    assert lines == [(line + "\n").encode() for line in wanted], (lines, wanted)


def has_guest(vm):
    processes = vm.list_processes_in_guest()
    assert len(processes) == 1 + int(processes[0].split(b": ")[1]), processes
    says(vm.create_directory_in_guest("/home/alice/p"))
    says(vm.run_program_in_guest("/bin/cp", "/etc/group", "/home/alice/p/group"))
    says(vm.file_exists_in_guest("/home/alice/p/group"), "The file exists.")
    says(vm.run_script_in_guest("/bin/sh", "'exit 7'"), "Guest program exited with non-zero exit code: 7")
    says(vm.copy_file_from_guest_to_host("/home/alice/p/group", os.path.abspath("group")))
    with open("group") as file:
        assert "staff:x:50:alice\n" in file.read()
    says(vm.copy_file_from_host_to_guest(os.path.abspath("group"), "/home/alice/p/back"))
    says(vm.rename_file_in_guest("/home/alice/p/back", "/home/alice/p/b"))
    says(vm.delete_file_in_guest("/home/alice/p/b"))
    says(vm.file_exists_in_guest("/home/alice/p/b"), "The file does not exist.")
    says(vm.delete_directory_in_guest("/home/alice/p"))
    says(vm.run_program_in_guest("/bin/sleep", "601", noWait=True))
    sleeps = [line for line in vm.list_processes_in_guest() if line.endswith(b"cmd=/bin/sleep 601\n")]
    says(vm.kill_process_in_guest(sleeps[0].split(b",")[0].split(b"=")[1].decode()))
    says(vm.capture_screen(os.path.abspath("packed.png")))
    says(vm.read_variable("memsize", runtimeConfig=True), "128")
    says(vm.read_variable("USER", guestEnv=True), "alice")


def has_power(vm, vmx):
    says(vm.pause())
    assert (vmx + "\n").encode() in vm.list_vm()
    says(vm.unpause())
    assert vm.unpause()[0].startswith(b"Error: ")
    says(vm.snapshot("one"))
    says(vm.list_snap_shots(), "Total snapshots: 2", "base", "one")
    vm.suspend(soft=True)
    assert (vmx + "\n").encode() not in vm.list_vm()
    assert vm.clone(os.path.abspath("packed/packed.vmx"), "base", linked=True)[0].startswith(b"Error: ")
    says(vm.revert_to_snap_shot("one"))
    says(vm.start())
    says(vm.clone(os.path.abspath("packed/packed.vmx"), "base", linked=True))
    clone = Pack(os.path.abspath("packed/packed.vmx"))
    assert clone.delete_snapshot("none")[0].startswith(b"Error: ")
    says(clone.delete_vm())
    says(vm.file_exists_in_guest("/etc/passwd"), "The file exists.")
    says(vm.delete_snapshot("one"))


def main(vmx):
    vm = Pack(vmx, "alice", "alice-secret")
    assert vm.vmrun_exec.endswith("/bin/vmrun"), vm.vmrun_exec
    has_guest(vm)
    has_power(vm, vmx)
    print("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
