//! `tokenize`.

/// What `tokenize` is in the middle of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokenizer {
    text: Vec<u8>,
    /// Where the next token starts, nothing behind the last one.
    next: Option<usize>,
}

impl Tokenizer {
    /// `tokenize(input, delimiters)`: the first token of `input`, or the next
    /// one of the last input where it is empty; `tokenize(delimiters)` is that
    /// with an empty one. Empty when there are no more (tapset/tokenize.stp).
    ///
    /// A token is a run of bytes none of which is among the delimiters, which
    /// may be others at each call.
    pub fn token(&mut self, input: &[u8], delimiters: &[u8]) -> &[u8] {
        if !input.is_empty() {
            self.text.clear();
            self.text.extend_from_slice(input);
            self.next = Some(0);
        }
        let Some(start) = self.next else {
            return &[];
        };
        let mut ends = [false; 256];
        delimiters.iter().for_each(|byte| ends[usize::from(*byte)] = true);
        let is_delimiter = |byte: &u8| ends[usize::from(*byte)];
        let rest = &self.text[start..];
        let blank = rest.iter().position(|byte| !is_delimiter(byte));
        let Some(blank) = blank else {
            self.next = None;
            return &[];
        };
        let token = &rest[blank..];
        let length = token.iter().position(is_delimiter);
        self.next = length.map(|length| start + blank + length + 1);
        &token[..length.unwrap_or(token.len())]
    }
}
