//! How large messages and their answers may be.

use super::Config;

impl Config {
    /// How many bytes each text of a message may have: a prompt, a response, an error, a JSON value as text. A
    /// larger one is refused with [`Invalid`](crate::ErrorKind::Invalid) and the name of its field. Names, ids,
    /// keys and paths may have [`MAX_NAME_BYTES`](crate::MAX_NAME_BYTES), whatever this setting is. Larger texts
    /// that a file already holds are read unchanged. Range 1 KiB–256 MiB; default 16 MiB.
    pub fn max_text_bytes(mut self, bytes: usize) -> Self {
        self.max_text_bytes = bytes;
        self
    }

    /// How many bytes one page of a list may have, as stored in the file: prompts with pictures take megabytes
    /// each. A page ends before the row that would exceed this, and its cursor continues there; but it has at
    /// least one row. A JSON value may take several times its text in memory. A host's own query has to bound its
    /// answer itself, by a `LIMIT`. Range 1 KiB–2 GiB; default 16 MiB.
    pub fn max_answer_bytes(mut self, bytes: usize) -> Self {
        self.max_answer_bytes = bytes;
        self
    }

    /// How many bytes of what a tool returned are kept ([`ToolCall::result`](crate::tools::ToolCall::result())). Of a
    /// longer result the file gets the beginning, up to the last whole character, a mark that it was cut, and its whole
    /// length. 0 keeps no text. Results that the file already has stay as they are. Range 0 B–256 MiB; default 64 KiB.
    pub fn max_tool_result_bytes(mut self, bytes: usize) -> Self {
        self.max_tool_result_bytes = bytes;
        self
    }
}
