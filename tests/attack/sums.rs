//! MD4 (RFC 1320) and MD5 (RFC 1321): what rsync's protocols 29 to 32 end a file with. Nothing else in the program needs
//! them, so they are here and in no dependency.

/// The bytes, padded to whole blocks: 0x80, zeros, the length in bits.
fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut all = bytes.to_vec();
    all.push(0x80);
    while all.len() % 64 != 56 {
        all.push(0);
    }
    all.extend((bytes.len() as u64 * 8).to_le_bytes());
    all
}

const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

fn run(bytes: &[u8], round: impl Fn(&mut [u32; 4], &[u32; 16])) -> [u8; 16] {
    let mut state = START;
    for block in padded(bytes).chunks_exact(64) {
        let mut words = [0; 16];
        for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = u32::from_le_bytes(bytes.try_into().unwrap());
        }
        let before = state;
        round(&mut state, &words);
        for (now, before) in state.iter_mut().zip(before) {
            *now = now.wrapping_add(before);
        }
    }
    let mut sum = [0; 16];
    for (bytes, word) in sum.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    sum
}

/// MD5, the sum of a file from protocol 30 on.
pub(crate) fn md5(bytes: &[u8]) -> [u8; 16] {
    const TURNS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    run(bytes, |state, words| {
        for step in 0..64 {
            let [a, b, c, d] = *state;
            let (mixed, word) = match step / 16 {
                0 => ((b & c) | (!b & d), step),
                1 => ((d & b) | (!d & c), 5 * step + 1),
                2 => (b ^ c ^ d, 3 * step + 5),
                _ => (c ^ (b | !d), 7 * step),
            };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the table of RFC 1321, 3.4: below 2^32")]
            let sine = (((step + 1) as f64).sin().abs() * 4_294_967_296.0) as u32;
            let turned = a.wrapping_add(mixed).wrapping_add(sine).wrapping_add(words[word % 16]).rotate_left(TURNS[step / 16][step % 4]);
            *state = [d, b.wrapping_add(turned), b, c];
        }
    })
}

/// MD4, the sum of a file in protocol 29; rsync puts the seed before the bytes.
pub(crate) fn md4(bytes: &[u8]) -> [u8; 16] {
    const TURNS: [[u32; 4]; 3] = [[3, 7, 11, 19], [3, 5, 9, 13], [3, 9, 11, 15]];
    const THIRD: [usize; 16] = [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15];
    run(bytes, |state, words| {
        for step in 0..48 {
            let [a, b, c, d] = *state;
            let (mixed, word, more) = match step / 16 {
                0 => ((b & c) | (!b & d), step, 0),
                1 => ((b & c) | (b & d) | (c & d), (step % 4) * 4 + (step % 16) / 4, 0x5a82_7999),
                _ => (b ^ c ^ d, THIRD[step % 16], 0x6ed9_eba1),
            };
            let turned = a.wrapping_add(mixed).wrapping_add(words[word]).wrapping_add(more).rotate_left(TURNS[step / 16][step % 4]);
            *state = [d, turned, b, c];
        }
    })
}

#[test]
fn sums_are_those_of_the_rfcs() {
    let hex = |sum: [u8; 16]| sum.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(md5(b"message digest")), "f96b697d7cb7938d525a2f31aaf161d0");
    assert_eq!(hex(md4(b"message digest")), "d9130a8164549fe818874806e1c7014b");
    assert_eq!(hex(md4(&[b'1'; 0])), "31d6cfe0d16ae931b73c59d7e0c089c0");
    let long = b"12345678901234567890123456789012345678901234567890123456789012345678901234567890";
    assert_eq!(hex(md5(long)), "57edf4a22be3c955ac49da2e2107b67a");
    assert_eq!(hex(md4(long)), "e33b4ddc9c38f2199c3e7b164fcc0536");
}
