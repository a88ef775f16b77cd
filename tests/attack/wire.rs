//! rsync's wire formats, written: integers of every shape, indices, messages. What is written is what the caller says, true
//! or not.

/// Protocol's constants (rsync.h).
pub(crate) mod say {
    pub(crate) const TOP_DIR: u32 = 1;
    pub(crate) const SAME_MODE: u32 = 1 << 1;
    pub(crate) const EXTENDED: u32 = 1 << 2;
    pub(crate) const SAME_NAME: u32 = 1 << 5;
    pub(crate) const LONG_NAME: u32 = 1 << 6;
    pub(crate) const SAME_TIME: u32 = 1 << 7;
    pub(crate) const HLINKED: u32 = 1 << 9;
    pub(crate) const HLINK_FIRST: u32 = 1 << 12;
    pub(crate) const MOD_NSEC: u32 = 1 << 13;

    pub(crate) const REPORT_XATTR: u16 = 1 << 8;
    pub(crate) const BASIS: u16 = 1 << 11;
    pub(crate) const XNAME: u16 = 1 << 12;
    pub(crate) const IS_NEW: u16 = 1 << 13;
    pub(crate) const LOCAL_CHANGE: u16 = 1 << 14;
    pub(crate) const TRANSFER: u16 = 1 << 15;

    pub(crate) const DONE: i32 = -1;
    pub(crate) const FLIST_EOF: i32 = -2;
    pub(crate) const DEL_STATS: i32 = -3;
    pub(crate) const FLIST_OFFSET: i32 = -101;

    pub(crate) const DATA: u8 = 0;
}

/// A message's code is this much higher on the wire (`MPLEX_BASE`).
const MESSAGE: u8 = 7;

/// Bytes on their way out, in the words of one protocol.
#[derive(Clone)]
pub(crate) struct Out {
    /// 29 to 32.
    pub(crate) protocol: u32,
    /// What is written so far.
    pub(crate) bytes: Vec<u8>,
    /// The last indices, which later ones are told relative to.
    pub(crate) last: Indices,
}

/// What indices are relative to, in one direction.
#[derive(Clone, Copy)]
pub(crate) struct Indices {
    positive: i32,
    negative: i32,
}

impl Indices {
    pub(crate) const START: Self = Self { positive: -1, negative: 1 };
}

impl Out {
    pub(crate) fn new(protocol: u32) -> Self {
        Self { protocol, bytes: Vec::new(), last: Indices::START }
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend(bytes);
        self
    }

    pub(crate) fn byte(&mut self, value: u8) -> &mut Self {
        self.raw(&[value])
    }

    pub(crate) fn short(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    pub(crate) fn int(&mut self, value: i32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// `write_varint`
    pub(crate) fn varint(&mut self, value: i32) -> &mut Self {
        self.variable(&value.to_le_bytes(), 1)
    }

    /// `write_varlong`
    pub(crate) fn varlong(&mut self, value: i64, least: usize) -> &mut Self {
        self.variable(&value.to_le_bytes(), least)
    }

    /// The bytes, the lowest first, without the zeros at the high end; the first byte on the wire says how many there are.
    fn variable(&mut self, little: &[u8], least: usize) -> &mut Self {
        let mut count = little.len();
        while count > least && little[count - 1] == 0 {
            count -= 1;
        }
        let bit = 1u8 << (7 + least - count);
        let top = little[count - 1];
        if top >= bit {
            self.byte(!(bit - 1)).raw(&little[..count])
        } else if count > least {
            self.byte(top | !(bit.wrapping_mul(2).wrapping_sub(1))).raw(&little[..count - 1])
        } else {
            self.byte(top).raw(&little[..count - 1])
        }
    }

    /// `write_varint30`
    pub(crate) fn varint30(&mut self, value: i32) -> &mut Self {
        if self.protocol < 30 { self.int(value) } else { self.varint(value) }
    }

    /// `write_varlong30`
    pub(crate) fn varlong30(&mut self, value: i64, least: usize) -> &mut Self {
        if self.protocol < 30 { self.long(value) } else { self.varlong(value, least) }
    }

    /// `write_longint`
    pub(crate) fn long(&mut self, value: i64) -> &mut Self {
        match u32::try_from(value) {
            Ok(small) if small <= 0x7fff_ffff => self.raw(&small.to_le_bytes()),
            _ => self.int(-1).raw(&value.to_le_bytes()),
        }
    }

    /// `write_vstring`
    pub(crate) fn vstring(&mut self, text: &[u8]) -> &mut Self {
        if text.len() > 0x7f {
            self.byte(u8::try_from(text.len() / 256).unwrap() | 0x80);
        }
        #[expect(clippy::cast_possible_truncation, reason = "the low byte")]
        self.byte(text.len() as u8).raw(text)
    }

    /// `write_ndx`
    pub(crate) fn index(&mut self, index: i32) -> &mut Self {
        if self.protocol < 30 {
            return self.int(index);
        }
        if index == say::DONE {
            return self.byte(0);
        }
        let (last, magnitude) = if index >= 0 {
            (std::mem::replace(&mut self.last.positive, index), index)
        } else {
            self.byte(0xff);
            (std::mem::replace(&mut self.last.negative, index.wrapping_neg()), index.wrapping_neg())
        };
        let step = magnitude.wrapping_sub(last);
        match step {
            1..=253 => self.byte(u8::try_from(step).unwrap()),
            0 | 254..=0x7fff => self.byte(0xfe).raw(&u16::try_from(step).unwrap().to_be_bytes()),
            _ => {
                let [low, second, third, high] = magnitude.to_le_bytes();
                self.raw(&[0xfe, high | 0x80, low, second, third])
            }
        }
    }

    /// Index and flags, as both ends say them from protocol 29 on.
    pub(crate) fn item(&mut self, index: i32, flags: u16) -> &mut Self {
        self.index(index).short(flags)
    }

    /// `write_sum_head`: blocks, their length, the length of their sums, the length of the last block.
    pub(crate) fn sum_head(&mut self, [count, length, sum, rest]: [i32; 4]) -> &mut Self {
        self.int(count).int(length).int(sum).int(rest)
    }

    /// A run of bytes of the file.
    pub(crate) fn literal(&mut self, bytes: &[u8]) -> &mut Self {
        for part in bytes.chunks(32 * 1024) {
            self.int(i32::try_from(part.len()).unwrap()).raw(part);
        }
        self
    }

    /// A block of the basis.
    pub(crate) fn block(&mut self, number: i32) -> &mut Self {
        self.int(-(number.wrapping_add(1)))
    }

    /// The bytes as messages of this kind.
    pub(crate) fn message(&mut self, kind: u8, bytes: &[u8]) -> &mut Self {
        for part in bytes.chunks(0x00f0_0000) {
            self.header(kind, u32::try_from(part.len()).unwrap()).raw(part);
        }
        self
    }

    /// A message's head alone.
    pub(crate) fn header(&mut self, kind: u8, length: u32) -> &mut Self {
        let kind = u32::from(MESSAGE.wrapping_add(kind));
        self.raw(&(kind << 24 | length & 0x00ff_ffff).to_le_bytes())
    }
}
