"""Drives the package `vmware-fusion-py`, unmodified.

usage: vmware_fusion_client.py VMX

VMX runs, with the test guest up and the snapshot `base`; it is left so.
"""

import os
import shutil
import sys

from vmware_fusion_py import VMware


def done(answer, output=""):
    assert answer == {"return_code": 0, "output": output, "error": ""}, answer


def refused(answer, begin):
    assert answer["return_code"] == 255 and answer["error"] == "", answer
    assert answer["output"].startswith("Error: " + begin), answer


def has_guest(vm):
    done(vm.check_tools_state(), "running")
    listed = vm.list_processes_in_guest()
    assert int(listed["output"].split("\n")[0].split(": ")[1]) == len(listed["processes"]), listed
    assert listed["processes"]["1"] == {"owner": "root", "cmd": "/bin/busybox sh /init"}
    assert listed["processes"]["2"] == {"owner": "root", "cmd": "kthreadd"}
    done(vm.run_program_in_guest("/bin/sleep", no_wait=True, program_arguments=["602"]))
    pids = [pid for pid, facts in vm.list_processes_in_guest()["processes"].items() if facts["cmd"] == "/bin/sleep 602"]
    assert vm.get_process_by_id(pids[0])["owner"] == "carol"
    done(vm.kill_process_in_guest(pids[0]))
    assert vm.get_process_by_id(pids[0]) is None

    made = vm.create_temp_file_in_guest()
    assert made["return_code"] == 0 and made["output"].startswith("/tmp/"), made
    done(vm.file_exists_in_guest(made["output"]), "The file exists.")
    done(vm.directory_exists_in_guest("/home/carol"), "The directory exists.")
    done(vm.directory_exists_in_guest("/home/none"), "The directory does not exist.")
    with open("with blanks", "w") as file:
        file.write("text, with = and a comma\n")
    done(vm.copy_file_from_host_to_guest("with blanks", "/home/carol/with blanks"))
    done(vm.copy_file_from_guest_to_host("/home/carol/with blanks", "came back"))
    with open("came back") as file:
        assert file.read() == "text, with = and a comma\n"
    done(vm.rename_file_in_guest("/home/carol/with blanks", "/home/carol/b"))
    done(vm.list_directory_in_guest("/home/carol"), "Directory list: 1\nb")
    done(vm.delete_file_in_guest("/home/carol/b"))
    done(vm.delete_file_in_guest(made["output"]))
    done(vm.create_directory_in_guest("/home/carol/d"))
    done(vm.delete_directory_in_guest("/home/carol/d"))
    done(vm.run_script_in_guest("/bin/sh", "test $(id -un) = carol"))
    failed = vm.run_script_in_guest("/bin/sh", "exit 3")
    assert failed["return_code"] == 3 and failed["error"] == "", failed
    done(vm.write_variable("guestVar", "said", "hello"))
    done(vm.read_variable("guestVar", "said"), "hello")
    done(vm.type_keystrokes_in_guest("a"))
    done(vm.capture_screen("fusion.png"))


def has_networks(vm):
    adapters = vm.list_network_adapters()
    assert adapters["output"].split("\n")[0] == "Total network adapters: 1", adapters
    assert vm.list_host_networks()["output"].startswith("Total host networks: ")
    refused(vm.list_port_forwardings("vmnet77"), "")
    refused(vm.set_port_forwarding("vmnet77", "tcp", 8080, "10.0.0.1", 80), "")


def has_snapshots(vm):
    done(vm.snapshot("one"))
    done(vm.snapshot("two"))
    done(vm.list_snapshots(show_tree=True), "Total snapshots: 3\nbase\n\tone\n\t\ttwo")
    refused(vm.delete_snapshot("none"), "The snapshot does not exist")
    clone = os.path.abspath("fusion/fusion.vmx")
    done(vm.clone(clone, "linked", snapshot="base", clone_name="of base"))
    with open(clone) as file:
        assert 'displayName = "of base"\n' in file.read()
    refused(vm.clone(clone, "full"), "")
    done(vm.delete_vm(vm_path=clone))
    done(vm.suspend())
    done(vm.start(nogui=True))
    done(vm.delete_snapshot("one", and_delete_children=True))
    done(vm.list_snapshots(), "Total snapshots: 1\nbase")


def main(vmx):
    vm = VMware(shutil.which("vmrun"), "fusion", guest_user="carol", guest_password="carol-secret", vm_path=vmx)
    assert vmx in vm.list()["output"].split("\n")
    has_guest(vm)
    has_networks(vm)
    done(vm.pause())
    done(vm.unpause())
    refused(vm.unpause(), "")
    refused(vm.delete_vm(), "The virtual machine should not be powered on. It is already running.")
    has_snapshots(vm)
    print("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
