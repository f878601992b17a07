"""Drives the package `pyvmrun`, unmodified.

usage: pyvmrun_client.py VMX

VMX is off, with the test guest's disk; it is left running, with the snapshot `base`. The package asks a shell
to run the first `vmrun` of PATH, so words with blanks are quoted here, as its users do.
"""

import os
import sys
import time

# Looks for vmrun.
import pyvmrun.pyvmrun as package
from pyvmrun.pyvmrun import PyVmrun

PATIENCE = 120


def says(lines, wanted):
    assert lines == [wanted + "\n"], (lines, wanted)


def await_guest(vm):
    """Waits until the guest lists its processes; returns the lines."""
    deadline = time.monotonic() + PATIENCE
    while True:
        lines = vm.listProcessesInGuest()
        if lines[0].startswith("Process list: "):
            return lines
        assert lines[0].startswith("Error: The VMware Tools are not running in the virtual machine"), lines
        assert time.monotonic() < deadline, lines
        time.sleep(0.2)


def has_guest(vm, vmx):
    processes = await_guest(vm)
    assert len(processes) == 1 + int(processes[0].split(": ")[1])
    assert any(line == "pid=1, owner=root, cmd=/bin/busybox sh /init\n" for line in processes), processes
    assert vm.createDirectoryInGuest("/home/bob/p") == []
    assert vm.runProgramInGuest("/bin/touch", "a", "/home/bob/p/touched") == []
    assert vm.runProgramInGuest("/bin/sleep", "n", "600") == []
    assert vm.runProgramInGuest("/bin/touch", "other", "/x") == "error mode : other"
    says(vm.runProgramInGuest("/bin/false", "a"), "Guest program exited with non-zero exit code: 1")
    assert vm.runScriptInGuest("/bin/sh", '"echo from the guest >/home/bob/p/said"') == []
    assert vm.fileExistsInGuest("/home/bob/p/touched") is True
    assert vm.fileExistsInGuest("/home/bob/p/other") is False
    missing = vm.copyFileFromGuestToHost("/home/bob/p/none", "none")
    assert missing[0].startswith("Error: A file was not found"), missing

    sent, came = os.path.abspath("sent"), os.path.abspath("came")
    with open(sent, "w") as file:
        file.write("from the host\n" * 1000)
    assert vm.copyFileFromHostToGuest(sent, "/home/bob/p/sent") == []
    assert vm.renameFileInGuest("/home/bob/p/sent", "/home/bob/p/kept") == []
    assert vm.copyFileFromGuestToHost("/home/bob/p/kept", came) == []
    with open(sent) as one, open(came) as other:
        assert one.read() == other.read()
    names = vm.listDirectoryInGuest("/home/bob/p")
    assert names[0] == "Directory list: 3\n" and set(names[1:]) == {"touched\n", "said\n", "kept\n"}, names
    assert vm.deleteFileInGuest("/home/bob/p/kept") == []
    assert vm.deleteDirectoryInGuest("/home/bob/p") == []
    says(vm.listDirectoryInGuest("/home/bob"), "Directory list: 0")

    sleeps = [line for line in vm.listProcessesInGuest() if line.endswith("cmd=/bin/sleep 600\n")]
    pid = sleeps[0].split(",")[0].split("=")[1]
    assert vm.killProcessInGuest(pid) == []
    assert not any(line.endswith("cmd=/bin/sleep 600\n") for line in vm.listProcessesInGuest())

    assert vm.writeVariable("guestEnv", "FROM", "bob")[0].startswith("Error: "), "bob is not root"
    assert PyVmrun(vmx, "root", "root-secret").writeVariable("guestEnv", "FROM", "pyvmrun") == []
    says(vm.readVariable("guestEnv", "FROM"), "pyvmrun")
    assert vm.writeVariable(None, "said", "hello") == []
    says(vm.readVariable(None, "said"), "hello")
    says(vm.readVariable("runtimeConfig", "displayName"), "base")
    assert vm.captureScreen(os.path.abspath("screen.png")) == []
    with open("screen.png", "rb") as image:
        assert image.read(8) == b"\x89PNG\r\n\x1a\n"

    stranger = PyVmrun(vmx, "bob", "wrong")
    says(stranger.listProcessesInGuest(), "Error: Invalid user name or password for the guest OS")


def has_snapshots(vm, vmx):
    clone = os.path.abspath("clone/clone.vmx")
    assert vm.snapshot('"first one"') == []
    assert vm.listSnapshots() == ["Total snapshots: 2\n", "base\n", "first one\n"]
    assert vm.clone(clone, "linked", '"first one"')[0].startswith("Error: "), "it has memory"
    assert vm.clone(clone, "linked", "base") == []
    assert PyVmrun(clone).deleteVM() == [] and not os.path.exists(clone)
    assert vm.suspend("hard") == []
    assert vmx not in PyVmrun.list()
    assert vm.clone(clone, "full", "") == []
    other = PyVmrun(clone)
    assert other.listSnapshots() == ["Total snapshots: 0\n"]
    assert other.deleteVM() == [] and not os.path.exists(clone)
    assert vm.start() == []
    assert vm.deleteSnapshot('"first one"') == []
    await_guest(vm)


def main(vmx):
    assert package.VMRUN_PATH.endswith("/bin/vmrun"), package.VMRUN_PATH
    vm = PyVmrun(vmx, "bob", "bob-secret")
    says(vm.listProcessesInGuest(), "Error: The virtual machine is not powered on: " + vmx)
    assert vm.register() == []
    assert vm.unregister() == []
    assert vm.snapshot("base") == []
    assert vm.start() == []
    assert PyVmrun.list()[vmx].VM_FILE == vmx
    assert vm.upgradevm()[0].startswith("Error: ")
    assert vm.beginRecording("x") == ["Error: The operation is not supported for the specified parameters\n"]
    has_guest(vm, vmx)
    has_snapshots(vm, vmx)
    print("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
