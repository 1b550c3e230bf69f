// Each form of instruction that accesses memory, once, on the eight bytes `watched`,
// and what it is expected to do there. Does one at each line that it reads, says what it
// was, stores to `marker`, and waits. What the bytes hold it reads by another mapping of
// the same memory, which no watch sees.
//   form NAME ACCESS SIZE OFFSET TOLD COUNT BEFORE AFTER ADDRESS
//   missing NAME FEATURE
// TOLD: 1 where a register or the instruction tells the operand's bytes; 2 where they are
// where the program goes, 3 where it comes from, to an address before which no such
// instruction stands, 4 where it comes from for sure, once memory is known. COUNT:
// accesses to the eight bytes. ADDRESS: of the instruction.
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

struct form {
    const char *name, *access, *feature;
    void (*run)(void);
    long size, offset, told, count;
    const char *address;
};

extern const struct form forms[], forms_end[];
extern char page[4096], other[4096], watched[8];
void invoke(void (*)(void), char *watched, char *other, unsigned long before);
volatile long marker;

// Every form begins with RDI at the watched bytes, RSI at other memory, RDX with what
// is watched, R12 with the stack pointer to go back to, and numbers in RAX, RBX, RCX, R8.
__asm__(R"(
    .data
    .balign 4096
    .globl page, other, watched
    .type watched, @object
    .size watched, 8
page:   .skip 2048
watched: .skip 2048
    .type other, @object
    .size other, 4096
other:  .skip 4096
code_pointer: .quad landing

    .macro form name, access, size, offset, told, count=1, feature=""
    .text
    .balign 16
    .type form_\name, @function
form_\name:
    .pushsection .rodata
7:  .asciz "\name"
8:  .asciz "\access"
9:  .asciz "\feature"
    .popsection
    .pushsection table, "a"
    .quad 7b, 8b, 9b, form_\name, \size, \offset, \told, \count
    .popsection
    .endm
    .macro at
    .pushsection table, "a"
    .quad 6f
    .popsection
6:
    .endm
    .macro end name
    ret
    .size form_\name, . - form_\name
    .endm
    .macro simple name, access, size, offset, told, code:vararg
    form \name, \access, \size, \offset, \told
    at
    \code
    end \name
    .endm
    .macro needing feature, name, access, size, offset, told, code:vararg
    form \name, \access, \size, \offset, \told, 1, "\feature"
    at
    \code
    end \name
    .endm
    .macro prepared name, access, size, offset, told, prepare, code:vararg
    form \name, \access, \size, \offset, \told
    \prepare
    at
    \code
    end \name
    .endm
    # With the stack so many bytes behind the watched bytes' first.
    .macro stacked name, access, size, offset, told, top, code:vararg
    form \name, \access, \size, \offset, \told
    lea \top(%rdi), %rsp
    at
    \code
    mov %r12, %rsp
    end \name
    .endm
    # What arrives at `landing`, which goes on where R13 says.
    .macro arriving name, access, size, offset, told, prepare, code:vararg
    form \name, \access, \size, \offset, \told
    lea 5f(%rip), %r13
    lea landing(%rip), %r8
    \prepare
    at
    \code
    ud2
5:  end \name
    .endm

    .section table, "a"
    .globl forms, forms_end
    .balign 8
forms:

    .text
    .globl invoke
    .type invoke, @function
invoke:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rdi, %r11
    mov %rsi, %rdi
    mov %rdx, %rsi
    mov %rcx, %rdx
    movabs $0x8182838485868788, %r8
    movabs $0x1112131415161718, %rax
    movabs $0x2122232425262728, %rbx
    movabs $0x3132333435363738, %rcx
    lea -8(%rsp), %r12
    mov %rsi, %r10
    call *%r11
    cld
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
    .size invoke, . - invoke
    .balign 16
    .type landing, @function
landing:
    mov %r12, %rsp
    jmp *%r13
    .size landing, . - landing
)"
#include "instructions.inc"
R"(
    .section table, "a"
    .balign 8
forms_end: .quad 0
    .text
)");

static int has(const char *feature) {
    if (strcmp(feature, "fsgsbase") == 0)
        return (getauxval(AT_HWCAP2) & 2) != 0;
    if (strcmp(feature, "movbe") == 0) {
        unsigned eax = 1, ecx = 0;
        __asm__("cpuid" : "+a"(eax), "+c"(ecx) : : "ebx", "edx");
        return ecx >> 22 & 1;
    }
    return feature[0] == 0 || (strcmp(feature, "avx") == 0 && __builtin_cpu_supports("avx"))
        || (strcmp(feature, "avx2") == 0 && __builtin_cpu_supports("avx2"));
}

int main(void) {
    char line[16];
    int memory = memfd_create("page", 0);
    if (memory < 0 || ftruncate(memory, 4096))
        return 1;
    int both = PROT_READ | PROT_WRITE;
    mmap(page, 4096, both, MAP_SHARED | MAP_FIXED, memory, 0);
    char *seen = mmap(0, 4096, both, MAP_SHARED, memory, 0);
    volatile unsigned long *value = (void *)(seen + (watched - page));
    puts("ready");
    fflush(stdout);
    for (const struct form *form = forms; fgets(line, sizeof line, stdin); form++) {
        while (form < forms_end && !has(form->feature)) {
            printf("missing %s %s\n", form->name, form->feature);
            form++;
        }
        if (form == forms_end)
            break;
        unsigned long before = *value;
        invoke(form->run, watched, other + 2048, before);
        printf("form %s %s %ld %ld %ld %ld %lu %lu %lu\n", form->name, form->access,
               form->size, form->offset, form->told, form->count, before, *value,
               (unsigned long)form->address);
        marker++;
    }
    puts("done");
    return 0;
}
