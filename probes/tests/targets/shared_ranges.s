# A hundred thousand functions share one list of a hundred thousand ranges.
        .globl _start
        .text
_start: .fill 64, 1, 0x90

        .section .debug_abbrev, "", @progbits
        # 1: DW_TAG_compile_unit with children: DW_AT_low_pc (addr), DW_AT_high_pc (data8)
        .uleb128 1, 0x11
        .byte 1
        .uleb128 0x11, 0x01, 0x12, 0x07, 0, 0
        # 2: DW_TAG_subprogram without: DW_AT_ranges (sec_offset)
        .uleb128 2, 0x2e
        .byte 0
        .uleb128 0x55, 0x17, 0, 0
        .byte 0

        .section .debug_info, "", @progbits
        .long end - begin
begin:  .short 4
        .long 0
        .byte 8
        .uleb128 1
        .quad _start, 64
        .rept 100000
        .uleb128 2
        .long 0
        .endr
        .byte 0
end:

        .section .debug_ranges, "", @progbits
        .rept 100000
        .quad 1, 64
        .endr
        .quad 0, 0
