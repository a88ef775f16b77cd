//! A client that speaks rsync's protocol itself, as the sender, over the gate's standard input and output. It is honest
//! unless it is told to lie: every step can be left out, replaced or repeated by the case that drives it.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::entry::{Asked, Entry};
use crate::sums;
use crate::wire::{Out, say};
use support::{Gate, Ran};

/// Why no more is to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The other end has closed the line.
    Closed,
    /// It says nothing, or takes nothing, for too long.
    Silent,
    /// It says what the protocol does not have.
    Nonsense,
}

/// What the server's generator says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Item {
    pub(crate) index: i32,
    pub(crate) flags: u16,
    pub(crate) basis: Option<u8>,
    pub(crate) xname: Option<Vec<u8>>,
    /// The attributes that it wants in full.
    pub(crate) attributes: Vec<i32>,
    /// Blocks of the basis: count, length, length of sums, length of the last.
    pub(crate) blocks: [i32; 4],
}

/// Waiting for one more byte, or for room for one, takes no longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
pub(crate) struct Session {
    gate: Child,
    err: File,
    to: Option<UnixStream>,
    from: UnixStream,
    began: Instant,
    /// What the protocol's words look like.
    pub(crate) asked: Asked,
    /// The protocol that both ends speak.
    pub(crate) protocol: u32,
    /// The server's number, which old sums begin with.
    seed: [u8; 4],
    /// What is still to be sent.
    pub(crate) out: Out,
    /// Whether what is sent goes as messages.
    framed: bool,
    heard: Vec<u8>,
    heard_last: (i32, i32),
    phase: u32,
    pub(crate) lists: u32,
    /// Everything that was ever received, so that nothing of the server's shows in it.
    pub(crate) received: Vec<u8>,
    /// Messages other than data.
    pub(crate) messages: Vec<(u8, Vec<u8>)>,
    /// The list, in the receiver's order.
    pub(crate) files: Vec<Entry>,
    /// Whether the server was waited for in vain.
    pub(crate) hung: bool,
    /// Every byte that was sent, for a recording.
    pub(crate) sent: Vec<u8>,
}

impl Session {
    /// Starts the gate as sshd would, and says nothing yet.
    pub(crate) fn start(gate: &Gate, command: &str) -> Self {
        let (to, stdin) = UnixStream::pair().unwrap();
        let (from, stdout) = UnixStream::pair().unwrap();
        for end in [&to, &from] {
            end.set_read_timeout(Some(PATIENCE)).unwrap();
            end.set_write_timeout(Some(PATIENCE)).unwrap();
        }
        let err = tempfile::tempfile().unwrap();
        let words = gate.program();
        let mut program = Command::new(&words[0]);
        program.args(&words[1..]).arg("--config").arg(gate.path().join("config")).env_clear();
        program.env("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22").env("SSH_ORIGINAL_COMMAND", command);
        program.stdin(OwnedFd::from(stdin)).stdout(OwnedFd::from(stdout)).stderr(Stdio::from(err.try_clone().unwrap()));
        let child = program.spawn().unwrap();
        Self {
            gate: child,
            err,
            to: Some(to),
            from,
            began: Instant::now(),
            asked: Asked::read(command.split_once("--server ").map_or("", |(_, words)| words)),
            protocol: 0,
            seed: [0; 4],
            out: Out::new(0),
            framed: false,
            heard: Vec::new(),
            heard_last: (-1, 1),
            phase: 0,
            lists: 0,
            received: Vec::new(),
            messages: Vec::new(),
            files: Vec::new(),
            hung: false,
            sent: Vec::new(),
        }
    }

    /// A push with these options, up to where the file list begins.
    pub(crate) fn open(gate: &Gate, protocol: u32, options: &str) -> Result<Self, End> {
        let mut this = Self::start(gate, &format!("rsync --server {options} . ."));
        this.greet(protocol)?;
        this.filters();
        Ok(this)
    }

    /// The exchange of versions, and what follows from it.
    pub(crate) fn greet(&mut self, protocol: u32) -> Result<(), End> {
        self.out.raw(&protocol.to_le_bytes());
        self.flush()?;
        let theirs: [u8; 4] = self.raw(4)?.try_into().unwrap();
        self.protocol = protocol.min(u32::from_le_bytes(theirs));
        self.out.protocol = self.protocol;
        if self.protocol >= 30 {
            let flags = self.raw(1)?[0];
            // Capabilities of two bytes begin with a bit that one byte never has.
            let flags = if flags & 0x80 == 0 { u32::from(flags) } else { u32::from(flags & 0x3f) << 8 | u32::from(self.raw(1)?[0]) };
            self.asked.varint_flags = flags & 0x80 != 0;
            self.asked.incremental = flags & 1 != 0;
        }
        self.seed = self.raw(4)?.try_into().unwrap();
        self.framed = self.protocol >= 30;
        Ok(())
    }

    /// No filters. They are only told where something may be deleted.
    pub(crate) fn filters(&mut self) {
        if self.asked.delete {
            self.out.int(0);
        }
    }

    /// Tells the list in the order given, ends it, and remembers it in the receiver's order.
    pub(crate) fn list(&mut self, entries: &[Entry]) -> Result<(), End> {
        self.entries(entries);
        self.end_list();
        self.flush()
    }

    fn entries(&mut self, entries: &[Entry]) {
        for entry in entries {
            entry.put(&mut self.out, &self.asked);
        }
        let mut sorted = entries.to_vec();
        sorted.sort_by_key(Entry::key);
        if self.asked.incremental {
            // Each list leaves one number free, for the directory that it belongs to.
            self.files.push(Entry::default());
        }
        self.files.extend(sorted);
    }

    /// A further list, for the directory of that number among all directories told so far.
    pub(crate) fn sublist(&mut self, directory: i32, entries: &[Entry]) -> Result<(), End> {
        self.out.index(say::FLIST_OFFSET - directory);
        self.entries(entries);
        self.end_list();
        self.flush()
    }

    /// No more lists.
    pub(crate) fn last_list(&mut self) -> Result<(), End> {
        self.out.index(say::FLIST_EOF);
        self.flush()
    }

    /// What follows the last entry: no names of users and groups, no errors.
    pub(crate) fn end_list(&mut self) {
        self.lists += 1;
        self.out.byte(0);
        if self.asked.varint_flags {
            self.out.varint(0);
        }
        if self.asked.incremental {
            return;
        }
        for asked in [self.asked.owner || self.asked.acls, self.asked.group || self.asked.acls] {
            if asked && !self.asked.numeric {
                self.out.varint30(0);
            }
        }
        if self.protocol < 30 {
            self.out.int(0);
        }
    }

    /// Answers as an honest sender does until the line is closed.
    pub(crate) fn finish(&mut self) -> End {
        self.finish_with(|_, _| false)
    }

    /// The same, where `lie` may answer an item in its own way first; it says whether it did.
    pub(crate) fn finish_with(&mut self, mut lie: impl FnMut(&mut Self, &Item) -> bool) -> End {
        loop {
            let item = match self.item() {
                Ok(item) => item,
                Err(end) => return end,
            };
            let told = lie(self, &item);
            if let Err(end) = if told { self.flush() } else { self.answer(&item) } {
                return end;
            }
        }
    }

    /// An honest answer.
    pub(crate) fn answer(&mut self, item: &Item) -> Result<(), End> {
        match item.index {
            say::DEL_STATS => return Ok(()),
            say::DONE => {
                self.phase += 1;
                // Two phases of files, their end, and the farewell, which protocol 31 says both ways.
                if self.phase < self.lists + if self.protocol >= 31 { 4 } else { 3 } {
                    self.out.index(say::DONE);
                }
            }
            _ => {
                self.echo(item);
                if item.flags & say::TRANSFER != 0 {
                    let index = usize::try_from(item.index).unwrap_or(usize::MAX);
                    let content = self.files.get(index).map(|file| file.content.clone()).unwrap_or_default();
                    self.whole(&content);
                }
            }
        }
        self.flush()
    }

    /// Index, flags and what belongs to them, as the generator said them.
    pub(crate) fn echo(&mut self, item: &Item) {
        self.out.item(item.index, item.flags);
        if let Some(basis) = item.basis {
            self.out.byte(basis);
        }
        if let Some(xname) = &item.xname {
            self.out.vstring(xname);
        }
        if self.wants_attributes(item.flags) {
            let values = usize::try_from(item.index).ok().and_then(|index| self.files.get(index)).map(|file| file.xattrs.clone());
            self.attributes(&item.attributes, &values.unwrap_or_default());
        }
    }

    /// The index of a name of the list.
    #[track_caller]
    pub(crate) fn index_of(&self, name: &str) -> i32 {
        let found = self.files.iter().position(|file| file.name == name.as_bytes());
        i32::try_from(found.unwrap_or_else(|| panic!("no `{name}` in the list"))).unwrap()
    }

    /// The values asked for, each with its number relative to the one before.
    pub(crate) fn attributes(&mut self, numbers: &[i32], values: &[(&'static str, Vec<u8>)]) {
        let mut last = 0;
        for number in numbers {
            let value = usize::try_from(number - 1).ok().and_then(|number| values.get(number)).map_or(&[][..], |(_, value)| value);
            self.out.varint(number - last).varint(i32::try_from(value.len()).unwrap()).raw(value);
            last = *number;
        }
        self.out.byte(0);
    }

    /// A whole file: no basis, all of its bytes, its sum.
    pub(crate) fn whole(&mut self, content: &[u8]) {
        let sum = self.sum(content);
        self.out.sum_head([0; 4]).literal(content).int(0).raw(&sum);
    }

    /// The sum that ends a file.
    pub(crate) fn sum(&self, content: &[u8]) -> [u8; 16] {
        if self.protocol >= 30 { sums::md5(content) } else { sums::md4(&[&self.seed, content].concat()) }
    }

    /// Whether the item is followed by numbers of attributes. A hard link made on the spot has none from protocol 31 on.
    fn wants_attributes(&self, flags: u16) -> bool {
        let on_the_spot = say::XNAME | say::LOCAL_CHANGE;
        self.asked.xattrs && flags & say::REPORT_XATTR != 0 && (self.protocol < 31 || flags & on_the_spot != on_the_spot)
    }

    /// The generator's next word.
    pub(crate) fn item(&mut self) -> Result<Item, End> {
        let index = self.index()?;
        if index == say::DEL_STATS {
            for _ in 0..5 {
                self.varint()?;
            }
        }
        if index < 0 {
            return Ok(Item { index, ..Item::default() });
        }
        let flags = u16::from_le_bytes(self.data(2)?.try_into().unwrap());
        let mut item = Item { index, flags, ..Item::default() };
        if flags & say::BASIS != 0 {
            item.basis = Some(self.data(1)?[0]);
        }
        if flags & say::XNAME != 0 {
            let first = usize::from(self.data(1)?[0]);
            let length = if first & 0x80 == 0 { first } else { (first & 0x7f) * 256 + usize::from(self.data(1)?[0]) };
            item.xname = Some(self.data(length)?);
        }
        if self.wants_attributes(flags) {
            let mut number = 0;
            loop {
                let step = self.varint()?;
                if step == 0 {
                    break;
                }
                number += step;
                item.attributes.push(number);
            }
        }
        if flags & say::TRANSFER != 0 {
            for field in &mut item.blocks {
                *field = i32::from_le_bytes(self.data(4)?.try_into().unwrap());
            }
            let [count, _, sum, _] = item.blocks;
            if !(0..1_000_000).contains(&count) || !(0..=64).contains(&sum) {
                return Err(End::Nonsense);
            }
            self.data(usize::try_from(count * (4 + sum)).unwrap())?;
        }
        Ok(item)
    }

    /// `read_ndx`
    fn index(&mut self) -> Result<i32, End> {
        if self.protocol < 30 {
            return Ok(i32::from_le_bytes(self.data(4)?.try_into().unwrap()));
        }
        let mut first = self.data(1)?[0];
        let negative = first == 0xff;
        if negative {
            first = self.data(1)?[0];
        } else if first == 0 {
            return Ok(say::DONE);
        }
        let last = if negative { self.heard_last.1 } else { self.heard_last.0 };
        let value = if first == 0xfe {
            let two = self.data(2)?;
            if two[0] & 0x80 != 0 {
                let rest = self.data(2)?;
                i32::from_le_bytes([two[1], rest[0], rest[1], two[0] & 0x7f])
            } else {
                last + i32::from(u16::from_be_bytes([two[0], two[1]]))
            }
        } else {
            last + i32::from(first)
        };
        if negative {
            self.heard_last.1 = value;
            return Ok(-value);
        }
        self.heard_last.0 = value;
        Ok(value)
    }

    /// `read_varint`
    fn varint(&mut self) -> Result<i32, End> {
        let first = self.data(1)?[0];
        let more = match first {
            0..0x80 => 0,
            0x80..0xc0 => 1,
            0xc0..0xe0 => 2,
            0xe0..0xf0 => 3,
            _ => 4,
        };
        let mut bytes = [0; 5];
        bytes[..more].copy_from_slice(&self.data(more)?);
        if more < 4 {
            bytes[more] = first & (0x7f >> more);
        }
        Ok(i32::from_le_bytes(bytes[..4].try_into().unwrap()))
    }

    /// Bytes of the server's stream, messages taken out of it.
    pub(crate) fn data(&mut self, count: usize) -> Result<Vec<u8>, End> {
        while self.heard.len() < count {
            let head: [u8; 4] = self.raw(4)?.try_into().unwrap();
            let head = u32::from_le_bytes(head);
            let body = self.raw(usize::try_from(head & 0x00ff_ffff).unwrap())?;
            match u8::try_from(head >> 24).unwrap().checked_sub(7) {
                Some(say::DATA) => self.heard.extend(body),
                Some(kind) => self.messages.push((kind, body)),
                None => return Err(End::Nonsense),
            }
        }
        Ok(self.heard.drain(..count).collect())
    }

    fn raw(&mut self, count: usize) -> Result<Vec<u8>, End> {
        let mut bytes = vec![0; count];
        let mut got = 0;
        while got < count {
            match self.from.read(&mut bytes[got..]) {
                Ok(0) => return Err(End::Closed),
                Ok(more) => got += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.hung = true;
                    return Err(End::Silent);
                }
                Err(_) => return Err(End::Closed),
            }
        }
        self.received.extend(&bytes);
        Ok(bytes)
    }

    /// Sends what is written so far.
    pub(crate) fn flush(&mut self) -> Result<(), End> {
        let bytes = std::mem::take(&mut self.out.bytes);
        if self.framed {
            let mut framed = Out::new(self.protocol);
            framed.message(say::DATA, &bytes);
            return self.send(&framed.bytes);
        }
        self.send(&bytes)
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), End> {
        let Some(to) = &mut self.to else { return Err(End::Closed) };
        self.sent.extend(bytes);
        to.write_all(bytes).map_err(|error| {
            self.hung |= error.kind() == ErrorKind::WouldBlock;
            if error.kind() == ErrorKind::WouldBlock { End::Silent } else { End::Closed }
        })
    }

    /// Sends a message of any kind.
    pub(crate) fn message(&mut self, kind: u8, bytes: &[u8]) -> Result<(), End> {
        let mut framed = Out::new(self.protocol);
        framed.message(kind, bytes);
        self.send(&framed.bytes)
    }

    /// Takes what comes until nothing more has come for so long.
    pub(crate) fn listen(&mut self, patience: Duration) {
        self.from.set_read_timeout(Some(patience)).unwrap();
        while self.raw(1).is_ok() {}
        self.hung = false;
    }

    /// Closes this end and waits for the gate. What it still said is in `received`.
    pub(crate) fn end(mut self) -> (Ran, Vec<u8>) {
        self.to = None;
        let _ = self.from.set_read_timeout(Some(Duration::from_secs(60)));
        let _ = self.from.read_to_end(&mut self.received);
        let status = self.gate.wait().unwrap();
        let stderr = {
            use std::io::{Seek as _, SeekFrom};
            let mut bytes = Vec::new();
            self.err.seek(SeekFrom::Start(0)).unwrap();
            self.err.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let status = status.code().unwrap_or(255);
        let said = String::from_utf8_lossy(&self.received).into_owned();
        (Ran { status, stdout: said, stderr, took: self.began.elapsed() }, self.received)
    }
}

/// A whole honest push.
pub(crate) fn push(gate: &Gate, protocol: u32, options: &str, entries: &[Entry]) -> Ran {
    let mut session = match Session::open(gate, protocol, options) {
        Ok(session) => session,
        Err(end) => panic!("no session: {end:?}"),
    };
    let _ = session.list(entries);
    session.finish();
    session.end().0
}
