# Functions whose tables say that there is a frame pointer, in entries that are longer
# than any compiler makes them, but for one.
    .text

# Its own entry is short. The one of what functions have in common is long: what precedes
# the first instruction of the first function goes there.
long_common:
    .cfi_startproc
    .cfi_def_cfa rbp, 16
    .rept 33000
    .cfi_offset rbx, -24
    .endr
    .fill 64, 1, 0x90
    ret
    .cfi_endproc

short_entry:
    .cfi_startproc
    .cfi_def_cfa rbp, 16
    nop
    ret
    .cfi_endproc

long_entry:
    .cfi_startproc
    .cfi_def_cfa rbp, 16
    .rept 33000
    .cfi_escape 0x2e, 0
    .endr
    .fill 64, 1, 0x90
    ret
    .cfi_endproc
