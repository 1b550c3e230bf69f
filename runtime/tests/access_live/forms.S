# Instruction forms for access_live.rs, which steps through them one by one.
# It enters `forms` with RDI at the watched eight bytes, in the middle of
# `memory`, RSI at other memory, and FS based 0x40 bytes before RDI.

.intel_syntax noprefix
.globl _start, forms, forms_end, memory, other

.bss
.balign 4096
memory: .skip 4096
other:  .skip 4096

.data
pointer: .quad landing

.text
_start:
        pause
        jmp _start

callee:
        ret

.balign 16
forms:
        movabs rax, 0x1112131415161718
        movabs rbx, 0x2122232425262728
        movabs rcx, 0x3132333435363738
        movabs rdx, 0x4142434445464748
        movabs r9, 0x5152535455565758
        movabs r15, 0x6162636465666768
        # stores
        mov [rdi], rax
        mov [rdi], ebx
        mov [rdi], cx
        mov [rdi], dl
        mov [rdi], ah
        mov [rdi], bh
        mov [rdi+3], ch
        mov [rdi+2], dh
        mov [rdi+1], r9b
        mov [rdi+4], r15d
        mov [rdi-4], rax
        mov [rdi+5], rax
        mov [rdi-8], rbx
        mov [rdi+8], rbx
        mov byte ptr [rdi+1], 0x99
        mov word ptr [rdi+2], 0x9abc
        mov dword ptr [rdi+4], 0x9abcdef0
        mov qword ptr [rdi], -5
        mov r8d, 2
        mov [rdi+r8*4-8], rdx
        mov [rdi+r8*4-4], eax
        mov [edi+r8d], ax
        mov fs:[0x40], rcx
        mov dword ptr fs:[0x44], 0x01020304
        movnti [rdi], rbx
        movnti [rdi+4], ecx
        mov [rip + memory + 0x800], r9
        # loads
        mov r10, [rdi]
        mov r10d, [rdi+4]
        mov r10w, [rdi+2]
        mov r10b, [rdi+3]
        mov ah, [rdi+1]
        movzx r10d, byte ptr [rdi+7]
        movzx r10, word ptr [rdi+6]
        movsx r10, byte ptr [rdi]
        movsx r10d, word ptr [rdi]
        movsxd r10, dword ptr [rdi]
        mov r10, [rdi-2]
        mov r10, fs:[0x40]
        mov r11, rdi
        mov r11, [r11]
        mov r10, [rdi+8]
        cmp [rdi], rax
        test byte ptr [rdi+2], 1
        bt dword ptr [rdi], 5
        add r10, [rdi]
        cmp rax, rax
        cmove r10, [rdi]
        cmovne r10, [rdi]
        lea r10, [rdi]
        prefetcht0 [rdi]
        # the stack
        mov r11, rsp
        lea rsp, [rdi+8]
        push rax
        pop r10
        push rsp
        pop r10
        push -7
        pop r10
        push 0x12345678
        pop qword ptr [rsi]
        push qword ptr [rsi]
        add rsp, 2
        push ax
        pop r10w
        sub rsp, 2
        pushfq
        popfq
        push qword ptr [rsp-8]
        pop qword ptr [rsp-8]
        lea rbp, [rsp-8]
        leave
        enter 8, 0
        leave
        lea rsp, [rdi+8]
        call callee
        lea rsp, [rdi]
        push qword ptr [rdi]
        pop qword ptr [rdi]
        mov rsp, r11
        # read, modify, write
        mov qword ptr [rdi], 0x12345678
        inc dword ptr [rdi]
        lock inc qword ptr [rdi]
        dec byte ptr [rdi]
        dec word ptr [rdi+2]
        lock add [rdi], rax
        add [rdi+1], bl
        add dword ptr [rdi+4], -3
        sub [rdi+2], cx
        sub qword ptr [rdi], 0x7fffffff
        lock and [rdi], edx
        or [rdi+4], eax
        lock xor byte ptr [rdi+3], 0x5a
        not dword ptr [rdi]
        neg qword ptr [rdi]
        shl dword ptr [rdi], 3
        shl qword ptr [rdi], 1
        mov cl, 37
        shl dword ptr [rdi+4], cl
        shr qword ptr [rdi], cl
        mov qword ptr [rdi], -0x12345678
        sar dword ptr [rdi], cl
        sar qword ptr [rdi], 7
        mov qword ptr [rdi], 0x76543210
        rol dword ptr [rdi], 9
        ror word ptr [rdi+2], cl
        rol byte ptr [rdi], cl
        ror qword ptr [rdi], 13
        rcl dword ptr [rdi], 1
        shld [rdi], eax, 4
        adc [rdi], eax
        sbb dword ptr [rdi+4], 1
        lock bts dword ptr [rdi], 7
        btr dword ptr [rdi+4], 2
        btc qword ptr [rdi], 45
        mov r10d, 19
        bts dword ptr [rdi], r10d
        btc qword ptr [rdi], r10
        xchg [rdi], rax
        xchg [rdi+1], bh
        xchg r15d, [rdi+4]
        lock xadd [rdi], rcx
        xadd [rdi+2], dx
        mov rax, [rdi]
        lock cmpxchg [rdi], rbx
        lock cmpxchg [rdi], r9
        cmpxchg [rdi+4], ebx
        cmpxchg [rdi+1], bl
        lock cmpxchg8b [rdi]
        cmp eax, ebx
        sete [rdi]
        setne [rdi+1]
        setl [rdi+2]
        setge [rdi+3]
        seta [rdi+4]
        setbe [rdi+5]
        # SIMD and x87
        movq xmm0, rax
        movups [rdi], xmm0
        movups [rdi-8], xmm0
        movdqu xmm1, [rdi-4]
        movups [rdi+8], xmm0
        movq [rdi], xmm0
        movss [rdi], xmm0
        addsd xmm0, [rdi]
        pxor xmm1, xmm1
        fld qword ptr [rdi]
        fstp dword ptr [rdi]
        fxsave [rdi]
        # strings
        mov r11, rdi
        stosq
        stosd
        mov rdi, r11
        stosb
        stosw
        mov rdi, r11
        std
        stosw
        stosd
        cld
        mov rdi, r11
        lea r12, [rsi]
        mov rsi, rdi
        lodsq
        mov rsi, rdi
        lodsb
        lodsd
        mov rsi, r12
        movsq
        mov rdi, r11
        mov rsi, r11
        lea rdi, [r12]
        movsd
        mov rdi, r11
        mov rsi, r12
        cmpsd
        mov rdi, r11
        scasb
        mov rdi, r11
        mov ecx, 5
        rep stosb
        mov rdi, r11
        mov rsi, r12
        mov ecx, 8
        rep movsb
        mov rdi, r12
        mov rsi, r11
        mov ecx, 3
        rep movsw
        mov rdi, r11
        mov ecx, 2
        mov dword ptr [r11+4], 3
        rep stosd
        mov rdi, r11
        mov ecx, 2
        mov dword ptr [rdi+4], 3
        rep stosd
        mov rdi, r11
        mov ecx, 8
        mov al, 0x77
        mov byte ptr [rdi+5], 0x77
        repne scasb
        mov rdi, r11
        # branches through memory
        mov rsi, r12
        lea r10, [rip + landing]
        mov [rdi], r10
        jmp qword ptr [rdi]
        mov [rdi+16], r10
landing:
        nop
        mov r11, rsp
        mov rsp, rdi
        lea r10, [rip + returned]
        mov [rdi], r10
        ret
        mov [rdi+16], eax
returned:
        mov rsp, r11
        nop
forms_end:
        jmp _start
