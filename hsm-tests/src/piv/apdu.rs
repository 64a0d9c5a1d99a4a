//! Commands and answers as ISO 7816-4 has them: short and extended, chained commands, answers in pieces.

/// The most that a chained command may have: more than any object of a YubiKey.
const LONGEST: usize = 4096;
/// The most that one short answer has.
const SHORT: usize = 256;

/// A status word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u16);

impl Status {
    /// Done.
    pub const OK: Self = Self(0x9000);
    /// The command has not the length that it must have.
    pub const WRONG_LENGTH: Self = Self(0x6700);
    /// PIN, management key or touch is missing.
    pub const SECURITY: Self = Self(0x6982);
    /// No tries are left.
    pub const BLOCKED: Self = Self(0x6983);
    /// Not in this state.
    pub const CONDITIONS: Self = Self(0x6985);
    /// The data makes no sense here.
    pub const WRONG_DATA: Self = Self(0x6a80);
    /// No such application or object.
    pub const NOT_FOUND: Self = Self(0x6a82);
    /// No room for that.
    pub const NO_SPACE: Self = Self(0x6a84);
    /// P1 or P2 makes no sense here.
    pub const WRONG_PARAMETERS: Self = Self(0x6a86);
    /// No such key.
    pub const NO_KEY: Self = Self(0x6a88);
    /// No such instruction.
    pub const NO_INSTRUCTION: Self = Self(0x6d00);
    /// No such class.
    pub const NO_CLASS: Self = Self(0x6e00);

    /// A wrong PIN or PUK, and this many tries left.
    #[must_use]
    pub fn tries(left: u8) -> Self {
        Self(0x63c0 | u16::from(left.min(15)))
    }

    /// Whether more of the answer can be fetched.
    fn more(left: usize) -> Self {
        Self(0x6100 | u16::try_from(left).ok().filter(|left| *left < 0x100).unwrap_or(0))
    }
}

/// One command, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) ins: u8,
    pub(super) p1: u8,
    pub(super) p2: u8,
    pub(super) data: Vec<u8>,
    /// How much may be answered at once.
    room: usize,
    more_follows: bool,
}

impl Command {
    /// Reads one: cases 1 to 4, short or extended.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Status> {
        let [cla, ins, p1, p2, body @ ..] = bytes else { return Err(Status::WRONG_LENGTH) };
        let more_follows = match cla {
            0x00 => false,
            0x10 => true,
            _ => return Err(Status::NO_CLASS),
        };
        let (data, room) = match body {
            [] | [_] => (&[][..], SHORT),
            [0, high, low] => (&[][..], extended(*high, *low)),
            [0, high, low, rest @ ..] => {
                let (data, le) = cut(rest, usize::from(u16::from_be_bytes([*high, *low])))?;
                let room = match le {
                    [] => SHORT,
                    [high, low] => extended(*high, *low),
                    _ => return Err(Status::WRONG_LENGTH),
                };
                (data, room)
            }
            [length, rest @ ..] => {
                let (data, le) = cut(rest, usize::from(*length))?;
                if le.len() > 1 {
                    return Err(Status::WRONG_LENGTH);
                }
                (data, SHORT)
            }
        };
        Ok(Self { ins: *ins, p1: *p1, p2: *p2, data: data.to_vec(), room, more_follows })
    }
}

fn cut(bytes: &[u8], at: usize) -> Result<(&[u8], &[u8]), Status> {
    bytes.split_at_checked(at).ok_or(Status::WRONG_LENGTH)
}

/// Le of two bytes; 0 is all there can be.
fn extended(high: u8, low: u8) -> usize {
    match u16::from_be_bytes([high, low]) {
        0 => 0x1_0000,
        some => usize::from(some),
    }
}

/// What lies between two commands: pieces of a command not whole yet, and of an answer not fetched yet.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    command: Option<Command>,
    answer: Vec<u8>,
}

impl Pieces {
    /// The whole command once this was its last piece.
    pub(super) fn take(&mut self, piece: Command) -> Result<Option<Command>, Status> {
        self.answer.clear();
        let same = |had: &Command| (had.ins, had.p1, had.p2) == (piece.ins, piece.p1, piece.p2);
        let mut data = self.command.take().filter(same).map_or_else(Vec::new, |had| had.data);
        data.extend_from_slice(&piece.data);
        if data.len() > LONGEST {
            return Err(Status::WRONG_LENGTH);
        }
        let whole = Command { data, ..piece };
        if whole.more_follows {
            self.command = Some(whole);
            return Ok(None);
        }
        Ok(Some(whole))
    }

    /// The first piece of an answer; the rest is kept.
    pub(super) fn answer(&mut self, data: Vec<u8>, room: usize) -> Vec<u8> {
        self.answer = data;
        self.next(room)
    }

    /// GET RESPONSE: the next piece.
    pub(super) fn fetch(&mut self) -> Result<Vec<u8>, Status> {
        if self.answer.is_empty() {
            return Err(Status::CONDITIONS);
        }
        Ok(self.next(SHORT))
    }

    fn next(&mut self, room: usize) -> Vec<u8> {
        let rest = self.answer.split_off(room.min(self.answer.len()));
        let mut piece = std::mem::replace(&mut self.answer, rest);
        let status = if self.answer.is_empty() { Status::OK } else { Status::more(self.answer.len()) };
        piece.extend_from_slice(&status.0.to_be_bytes());
        piece
    }
}

impl Command {
    /// How much of an answer it takes at once.
    pub(super) fn room(&self) -> usize {
        self.room
    }
}
