# Takes the place of the Linux kernel's own decompressor, which unpacks xz: half of the boot time
# where the CPU is emulated. This one unpacks LZ4 (as `lz4 -l` writes it, the magic number left
# out, a zero length at the end), then enters the kernel as the 64-bit boot protocol asks.
#
# The boot loader puts it at 1 MiB and the kernel's real-mode part enters it: 32-bit mode, flat
# segments, no paging, interrupts off, %esi pointing to the boot parameters.

        .set    KERNEL, 0x1000000       # where the kernel is linked to run

        .code32
start:
        cld
        mov     %esi, parameters
        mov     $packed, %esi
        mov     $KERNEL, %edi

block:
        lodsl                           # the next block's length
        test    %eax, %eax
        jz      unpacked
        lea     (%esi,%eax), %edx       # its end

sequence:
        movzbl  (%esi), %ebx            # number of literals (high half), length of match (low)
        inc     %esi
        mov     %ebx, %ecx
        shr     $4, %ecx
        cmp     $15, %ecx
        jne     1f
0:      movzbl  (%esi), %eax            # a full half goes on in bytes, up to one that is not 255
        inc     %esi
        add     %eax, %ecx
        cmp     $255, %eax
        je      0b
1:      rep movsb
        cmp     %edx, %esi              # the last sequence of a block has no match
        jae     block

        movzwl  (%esi), %eax            # how far back the match is
        add     $2, %esi
        mov     %edi, %ebp
        sub     %eax, %ebp
        and     $15, %ebx
        mov     %ebx, %ecx
        cmp     $15, %ecx
        jne     3f
2:      movzbl  (%esi), %eax
        inc     %esi
        add     %eax, %ecx
        cmp     $255, %eax
        je      2b
3:      add     $4, %ecx
        xchg    %esi, %ebp
        rep movsb                       # may overlap: repeats what it just wrote
        mov     %ebp, %esi
        jmp     sequence

unpacked:
        mov     %cr4, %eax
        or      $0x20, %eax             # physical address extension
        mov     %eax, %cr4
        mov     $level4, %eax
        mov     %eax, %cr3
        mov     $0xc0000080, %ecx       # extended features: long mode
        rdmsr
        or      $0x100, %eax
        wrmsr
        lgdt    segments_pointer
        mov     parameters, %esi
        mov     %cr0, %eax
        or      $0x80000000, %eax       # paging
        mov     %eax, %cr0
        ljmp    $0x10, $long_mode

        .code64
long_mode:
        mov     $0x18, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     $KERNEL, %eax
        jmp     *%rax

parameters:
        .long   0

        .align  8
segments:
        .quad   0, 0
        .quad   0x00af9a000000ffff      # 10: 64-bit code
        .quad   0x00cf92000000ffff      # 18: data
segments_pointer:
        .word   . - segments - 1
        .long   segments

        # The first GiB, mapped to itself in pages of 2 MiB.
        .align  4096
level4:
        .quad   level3 + 3
        .align  4096
level3:
        .quad   level2 + 3
        .align  4096
level2:
        .set    page, 0
        .rept   512
        .quad   page * 0x200000 + 0x83
        .set    page, page + 1
        .endr

packed:
        .incbin "kernel.lz4", 4
        .long   0
