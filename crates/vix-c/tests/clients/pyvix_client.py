"""Drives the package `pyvix`, compiled unmodified against our headers, through a VM's life.

usage: pyvix_client.py VMX GREETING

The arguments are those of `vix_client.py`. The package has no snapshots and no clones.
"""

import ctypes
import os
import sys
import time

# Finds libvixAllProducts.so where the linker found it.
import pyvix

PATIENCE = 120

library = ctypes.CDLL("libvixAllProducts.so")
library.Vix_GetErrorText.restype = ctypes.c_char_p


def refused(code, call, *args):
    """Checks that `call` raises the package's own exception for the error `code`."""
    try:
        call(*args)
    except pyvix.error as error:
        wanted = library.Vix_GetErrorText(ctypes.c_uint64(code), None).decode()
        assert str(error) == wanted, f"{error}, not {wanted}"
        return
    raise AssertionError(f"{call} succeeded")


def connects():
    for arguments in ([], ["", 0, "", ""]):
        host = pyvix.connect(*arguments)
        assert host.property(pyvix.PROPERTY_HOST_API_VERSION) > 0
        assert host.property(pyvix.PROPERTY_HOST_SOFTWARE_VERSION)
        host.disconnect()
        assert host.running() == [] and host.open("/nowhere.vmx") is None
    player = pyvix.connect("", 0, "", "", pyvix.SERVICEPROVIDER_VMWARE_PLAYER)
    assert player.property(pyvix.PROPERTY_HOST_HOSTTYPE) == pyvix.SERVICEPROVIDER_VMWARE_PLAYER
    refused(18000, pyvix.connect, "elsewhere.invalid")  # VIX_E_CANNOT_CONNECT_TO_HOST


def has_properties(vm, vmx):
    assert vm.property(pyvix.PROPERTY_VM_VMX_PATHNAME) == vmx
    assert vm.property(pyvix.PROPERTY_VM_NAME) == os.path.basename(vmx)[:-4]
    assert vm.property(pyvix.PROPERTY_VM_NUM_VCPUS) == 1
    assert vm.property(pyvix.PROPERTY_VM_MEMORY_SIZE) == 128
    assert vm.property(pyvix.PROPERTY_VM_POWER_STATE) == pyvix.POWERSTATE_POWERED_OFF
    # It asks whether the value is a Bool at all, not which.
    assert vm.property(pyvix.PROPERTY_VM_IS_RUNNING) is True
    refused(6000, vm.property, pyvix.PROPERTY_HOST_API_VERSION)  # VIX_E_UNRECOGNIZED_PROPERTY


def inventory(host, vmx):
    host.unregister(vmx)
    host.register(vmx)
    host.register(vmx)
    assert vmx in host.registered()
    host.unregister(vmx)
    host.unregister(vmx)
    assert vmx not in host.registered()
    refused(2000, host.register, vmx + ".none")  # VIX_E_NOT_FOUND


def greeting(vmx, wanted):
    """Waits until the guest has said `wanted`."""
    deadline = time.monotonic() + PATIENCE
    file = os.path.join(os.path.dirname(vmx), "serial.txt")
    text = ""
    while wanted not in text:
        assert time.monotonic() < deadline, text
        time.sleep(0.05)
        if os.path.exists(file):
            with open(file, errors="replace") as serial:
                text = serial.read()


def runs(host, vm, vmx, wanted):
    refused(3006, vm.poweroff)  # VIX_E_VM_NOT_RUNNING
    vm.poweron()
    try:
        assert vm.property(pyvix.PROPERTY_VM_POWER_STATE) & pyvix.POWERSTATE_POWERED_ON
        # Its callback works on Python's objects without asking Python, which 3.12 forbids.
        if sys.version_info < (3, 12):
            assert host.running() == [vmx]
        greeting(vmx, wanted)
        refused(3007, vm.poweron)  # VIX_E_VM_IS_RUNNING
    finally:
        vm.poweroff(pyvix.VMPOWEROP_NORMAL)
    assert host.running() == []


def main(vmx, wanted):
    connects()
    host = pyvix.connect()
    vm = host.open(vmx)
    has_properties(vm, vmx)
    if sys.version_info < (3, 12):
        inventory(host, vmx)
    runs(host, vm, vmx, wanted)
    refused(4000, host.open, vmx + ".none")  # VIX_E_VM_NOT_FOUND
    # Once by hand, once in the end.
    vm.close()
    host.open(vmx)
    print("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
