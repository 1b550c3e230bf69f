# Functions whose frames are known to the byte. `top` is the outermost.
.text
.globl top, caller, callee, keeps, restorer, enters
.type top, @function
.type caller, @function
.type callee, @function
.type keeps, @function
.type enters, @function

top:
    .cfi_startproc
    .cfi_undefined rip
    call caller
top_after:
    hlt
    .cfi_endproc
    .size top, . - top

.balign 32
caller:
    .cfi_startproc
    sub $8, %rsp
    .cfi_adjust_cfa_offset 8
caller_calls:
    call callee
caller_after:
    add $8, %rsp
    .cfi_adjust_cfa_offset -8
    ret
    .cfi_endproc
    .size caller, . - caller

.balign 32
callee:
    .cfi_startproc
    nop
callee_returns:
    ret
    .cfi_endproc
    .size callee, . - callee

.balign 32
keeps:
    .cfi_startproc
    push %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    mov %rsp, %rbp
    .cfi_def_cfa_register rbp
keeps_works:
    nop
    pop %rbp
    .cfi_def_cfa rsp, 8
    ret
    .cfi_endproc
    .size keeps, . - keeps

# How C libraries return from signals, some of which have no tables for it.
.balign 32
restorer:
    mov $15, %rax
    syscall

.balign 32
enters:
    .cfi_startproc
    syscall
enters_after:
    ret
    .cfi_endproc
    .size enters, . - enters
