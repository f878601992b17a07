"""Ends while the library calls it, as programs do that live by callbacks alone.

usage: exit_client.py

Python up to 3.13 ends a thread that comes back to it after that; later ones keep it for ever.
"""

import ctypes
import os

library = ctypes.CDLL("libvixAllProducts.so")
EventProc = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
JOBS = 20
entered, enter = os.pipe()
left, leave = os.pipe()


class Last:
    """What goes when Python is no more than half there."""

    def __init__(self, write):
        self.write = write

    def __del__(self):
        self.write(leave, b"!" * JOBS)


@EventProc
def on_event(job, event, info, data):
    os.write(enter, b"!")
    # Until Python shuts down.
    os.read(left, 1)


last = Last(os.write)
for _ in range(JOBS):
    library.VixHost_Connect(-1, 1, None, 0, None, None, 0, 0, on_event, None)
# All are in Python by then: what enters it while it shuts down may crash before any code of ours.
for _ in range(JOBS):
    os.read(entered, 1)
print("done", flush=True)
