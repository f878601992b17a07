# The smallest guest: a boot sector that prints "hello from guest marker=" and the text of the
# disk's second sector on the first serial port, then powers the machine off.
#
# 16-bit code, loaded by the BIOS at 0:7C00 with the boot drive in %dl. It needs nothing but the
# BIOS's disk service, so it shows that the firmware finds the disk and that the disk holds what the
# test put there. The power-off port is that of QEMU's machine types pc and q35.

        .code16
        .set    SERIAL, 0x3f8           # data port; line status is 5 further on
        .set    POWER, 0x604            # ACPI power management control
        .set    SECTOR, 0x7e00          # where the second sector goes: right behind this one

start:
        cli
        xor     %ax, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss
        mov     $0x7c00, %sp
        cld

        mov     $0x0201, %ax            # read one sector
        mov     $0x0002, %cx            # cylinder 0, sector 2 (they count from 1)
        xor     %dh, %dh                # head 0
        mov     $SECTOR, %bx
        int     $0x13
        jc      off

        mov     $hello, %si
        call    print
        mov     $SECTOR, %si
        call    print
        mov     $line_end, %si
        call    print

off:
        mov     $POWER, %dx
        mov     $0x2000, %ax            # sleep enable, sleep type 0: soft off
        outw    %ax, %dx
stop:
        hlt
        jmp     stop

# Prints the text at %si, up to its NUL.
print:
        lodsb
        test    %al, %al
        jz      1f
        mov     %al, %ah
        mov     $SERIAL + 5, %dx
0:      inb     %dx, %al                # wait until the port takes a byte
        test    $0x20, %al
        jz      0b
        mov     $SERIAL, %dx
        mov     %ah, %al
        outb    %al, %dx
        jmp     print
1:      ret

hello:
        .asciz  "hello from guest marker="
line_end:
        .asciz  "\r\n"

        .org    510
        .word   0xaa55                  # what makes a sector bootable
