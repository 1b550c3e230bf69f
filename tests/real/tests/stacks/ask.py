# Runs a program in gdb up to hits of a hardware watchpoint, and writes what there is to
# walk at some of them, and how gdb walks it.
import gdb
import os

REGISTERS = "rax rdx rcx rbx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip".split()
BYTES = 1 << 16
FRAMES = 300
WORD = (1 << 64) - 1


def line(*words):
    print("@", *words, flush=True)


def stack_bytes(start):
    length = BYTES
    while length >= 8:
        try:
            return gdb.selected_inferior().read_memory(start, length).tobytes()
        except gdb.MemoryError:
            length -= 8 if length <= 4096 else 4096
    return b""


def tell():
    inferior = gdb.selected_inferior()
    line("hit")
    with open(f"/proc/{inferior.pid}/maps") as maps:
        for mapping in maps:
            line("map", mapping.rstrip("\n"))
    newest = gdb.newest_frame()
    values = [int(newest.read_register(name).cast(gdb.lookup_type("long"))) & WORD
              for name in REGISTERS]
    line("registers", *values)
    line("bytes", stack_bytes(values[7]).hex())
    frame, count = newest, 0
    while frame is not None and count < FRAMES:
        kind = {gdb.INLINE_FRAME: "inlined", gdb.SIGTRAMP_FRAME: "signal"}
        # What jumped to another function is not on the stack: gdb infers it.
        if frame.type() != gdb.TAILCALL_FRAME:
            line("frame", kind.get(frame.type(), "normal"), frame.pc(), frame.name() or "?")
        frame, count = frame.older(), count + 1
    line("end", "more" if frame is not None else "whole")


def main():
    for setting in ("width 0", "confirm off", "debuginfod enabled off", "backtrace past-main on",
                    "disable-randomization off", "print thread-events off",
                    "startup-with-shell off", "breakpoint pending on", "language c"):
        gdb.execute("set " + setting)
    for signal in ("SIGALRM", "SIGUSR1", "SIGSEGV"):
        gdb.execute(f"handle {signal} nostop noprint pass")
    gdb.execute("break " + os.environ["AT"], to_string=True)
    gdb.execute("run", to_string=True)
    gdb.execute("delete", to_string=True)
    stack = int(gdb.newest_frame().read_register("rsp").cast(gdb.lookup_type("long"))) & WORD
    gdb.execute(os.environ["WATCH"].replace("STACK", str(stack)), to_string=True)
    wanted, step = int(os.environ["HITS"]), int(os.environ["STEP"])
    for _ in range(wanted):
        if step > 1:
            gdb.execute(f"ignore $bpnum {step - 1}", to_string=True)
        gdb.execute("continue", to_string=True)
        if gdb.selected_inferior().pid == 0:
            break
        tell()
    if gdb.selected_inferior().pid:
        gdb.execute("kill")


main()
