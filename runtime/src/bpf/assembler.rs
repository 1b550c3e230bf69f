//! Puts programs together with labels, not with counted skips.

use super::insn::{Instruction, Register, Test, skip, skip_if, skip_if_both};

/// A place in a program, which is jumped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A program that is being written.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    instructions: Vec<Instruction>,
    /// Where each label is, once it is placed.
    labels: Vec<Option<usize>>,
    /// Jumps with where they go.
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    /// A label that is to be placed.
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Places it here.
    pub(super) fn place(&mut self, label: Label) {
        self.labels[label.0] = Some(self.instructions.len());
    }

    /// Writes instructions.
    pub(super) fn put(&mut self, instructions: impl IntoIterator<Item = Instruction>) {
        self.instructions.extend(instructions);
    }

    /// Jumps there.
    pub(super) fn jump(&mut self, to: Label) {
        self.branch(skip(0), to);
    }

    /// Jumps there where the test holds of register and constant.
    pub(super) fn jump_if(
        &mut self,
        test: Test,
        register: Register,
        constant: i32,
        to: Label,
    ) {
        self.branch(skip_if(test, register, constant, 0), to);
    }

    /// Jumps there where it holds of two registers.
    pub(super) fn jump_if_both(
        &mut self,
        test: Test,
        register: Register,
        other: Register,
        to: Label,
    ) {
        self.branch(skip_if_both(test, register, other, 0), to);
    }

    fn branch(&mut self, instruction: Instruction, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.instructions.push(instruction);
    }

    /// The program, without what nothing comes to: the verifier refuses that. None
    /// where a jump is too far, or goes nowhere.
    pub(super) fn finish(mut self) -> Option<Vec<Instruction>> {
        let mut targets = vec![None; self.instructions.len()];
        for (at, label) in &self.jumps {
            targets[*at] = Some(self.labels[label.0]?);
        }
        let reached = self.reached(&targets)?;
        let before: Vec<usize> = std::iter::once(0)
            .chain(reached.iter().scan(0, |count, reached| {
                *count += usize::from(*reached);
                Some(*count)
            }))
            .collect();
        for (at, to) in targets.iter().enumerate().filter(|(at, _)| reached[*at]) {
            let Some(to) = to else { continue };
            let count = before[*to] as i64 - before[at] as i64 - 1;
            let count = i16::try_from(count).ok()?;
            self.instructions[at] = self.instructions[at].skipping(count);
        }
        let mut reached = reached.into_iter();
        self.instructions.retain(|_| reached.next() == Some(true));
        Some(self.instructions)
    }

    /// Which instructions are come to; none where one comes to the end.
    fn reached(&self, targets: &[Option<usize>]) -> Option<Vec<bool>> {
        let mut reached = vec![false; targets.len()];
        let mut open = vec![0];
        while let Some(at) = open.pop() {
            if std::mem::replace(reached.get_mut(at)?, true) {
                continue;
            }
            open.extend(targets[at]);
            if self.instructions[at].goes_on() {
                open.push(at + 1);
            }
        }
        Some(reached)
    }
}

#[cfg(test)]
mod tests {
    use super::super::insn::{R0, exit, set};
    use super::*;

    #[test]
    fn jumps_find_their_labels() {
        let mut asm = Assembler::default();
        let (end, next) = (asm.label(), asm.label());
        asm.jump_if(Test::Equal, R0, 1, end);
        asm.jump(next);
        asm.place(next);
        asm.put([set(R0, 5)]);
        asm.place(end);
        asm.put([exit()]);
        let expected = vec![skip_if(Test::Equal, R0, 1, 2), skip(0), set(R0, 5), exit()];
        assert_eq!(asm.finish(), Some(expected));
    }

    #[test]
    fn what_nothing_comes_to_is_left_out() {
        let mut asm = Assembler::default();
        let [end, unused] = [(); 2].map(|()| asm.label());
        asm.jump(end);
        asm.place(unused);
        asm.put([set(R0, 7), exit()]);
        asm.place(end);
        asm.put([exit()]);
        assert_eq!(asm.finish(), Some(vec![skip(0), exit()]));
    }

    #[test]
    fn what_can_not_be_jumped_to_is_no_program() {
        let mut asm = Assembler::default();
        let end = asm.label();
        asm.jump(end);
        assert_eq!(asm.finish(), None, "not placed");
        let mut asm = Assembler::default();
        let end = asm.label();
        asm.jump(end);
        let start = asm.label();
        asm.place(start);
        asm.put(std::iter::repeat_n(set(R0, 0), 40_000));
        asm.place(end);
        asm.jump(start);
        assert_eq!(asm.finish().map(|it| it.len()), None, "too far");
    }
}
