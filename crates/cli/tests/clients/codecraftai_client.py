"""Drives the package `codecraftai-interop-vmworkstation`, unmodified.

usage: codecraftai_client.py VMX

VMX runs, with the test guest up and the snapshot `base`; it is left off. The package has its commands run by
what its user gives it.
"""

import os
import subprocess
import sys
import time

from ccai.interfaces.icommandrunner import RunResult
from ccai.interop.vmworkstation import GuestCredential, VMWorkstationClient
from ccai.interop.vmworkstation.exceptions import VMRunCommandError
from ccai.interop.vmworkstation.results import ToolsState, VMWorkstationActionStatus

PATIENCE = 120


class Runner:
    """Runs commands on this machine."""

    def run(self, args, *, elevated=False, timeout=None, **more):
        assert not elevated
        done = subprocess.run(args, capture_output=True, text=True, timeout=timeout)
        return RunResult(done.returncode, done.stdout, done.stderr)


def ok(result):
    assert result.status is VMWorkstationActionStatus.SUCCESS, result
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", ""), result


def has_guest(client, vmx):
    dave = GuestCredential("dave", "dave-secret")
    ok(client.run_program_in_guest(
        vmx_path=vmx, guest_credential=dave, program="/bin/sh", args=["-c", "echo here >/home/dave/here"]))
    ok(client.copy_file_from_guest(vmx_path=vmx, guest_credential=dave, source="/home/dave/here", target="here"))
    with open("here") as file:
        assert file.read() == "here\n"
    ok(client.copy_file_to_guest(vmx_path=vmx, guest_credential=dave, source="here", target="/home/dave/there"))
    ok(client.run_program_in_guest(
        vmx_path=vmx, guest_credential=dave, program="/usr/bin/cmp", args=["/home/dave/here", "/home/dave/there"]))
    failed = client.run_program_in_guest(vmx_path=vmx, guest_credential=dave, program="/bin/cat", args=["/none"])
    assert failed.status is VMWorkstationActionStatus.FAILED and failed.exit_code == 1, failed
    stranger = GuestCredential("dave", "wrong")
    failed = client.run_program_in_guest(vmx_path=vmx, guest_credential=stranger, program="/bin/true")
    assert failed.stdout == "Error: Invalid user name or password for the guest OS\n", failed
    assert "wrong" not in failed.command


def await_tools(client, vmx):
    deadline = time.monotonic() + PATIENCE
    while client.tools_state(vmx_path=vmx) is not ToolsState.RUNNING:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def main(vmx):
    client = VMWorkstationClient(runner=Runner())
    assert vmx in client.list_running()
    await_tools(client, vmx)
    has_guest(client, vmx)
    ok(client.snapshot_create(vmx_path=vmx, name="one"))
    assert [snapshot.name for snapshot in client.snapshot_list(vmx_path=vmx)] == ["base", "one"]
    ok(client.suspend(vmx_path=vmx))
    assert vmx not in client.list_running()
    ok(client.start(vmx_path=vmx))
    ok(client.snapshot_revert(vmx_path=vmx, name="one"))
    ok(client.start(vmx_path=vmx))
    ok(client.snapshot_delete(vmx_path=vmx, name="one"))
    ok(client.reset(vmx_path=vmx))
    await_tools(client, vmx)
    ok(client.stop(vmx_path=vmx))
    assert vmx not in client.list_running()
    try:
        client.snapshot_list(vmx_path=vmx + ".none")
    except VMRunCommandError as error:
        assert error.exit_code == 255 and error.stdout.startswith("Error: Cannot open VM: "), error.stdout
    else:
        raise AssertionError("a VM that is not there has snapshots")
    stopped = client.stop(vmx_path=vmx, hard=True)
    assert stopped.stdout == f"Error: The virtual machine is not powered on: {vmx}\n", stopped
    print("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
