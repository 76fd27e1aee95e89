//! Quotes of Tencent over OpenD's own TCP protocol, with nothing but the standard library:
//! rustc --edition 2021 -O main.rs && ./main [PORT]
//!
//! A real program would take the crates `prost` and `sha1` in place of the two small modules at the end.
use std::collections::VecDeque;
use std::io::{Error, Read, Result, Write};
use std::net::TcpStream;

struct Client {
    stream: TcpStream,
    serial: u32,
    pushes: VecDeque<Vec<u8>>,
}

impl Client {
    fn send(&mut self, proto_id: u32, body: &[u8]) -> Result<()> {
        self.serial += 1;
        let mut frame = b"FT".to_vec();
        frame.extend(proto_id.to_le_bytes());
        frame.extend([0, 0]); // protobuf; version 0
        frame.extend(self.serial.to_le_bytes());
        frame.extend((body.len() as u32).to_le_bytes());
        frame.extend(sha1::digest(body));
        frame.extend([0; 8]);
        frame.extend(body);
        self.stream.write_all(&frame)
    }

    fn receive(&mut self) -> Result<(u32, u32, Vec<u8>)> {
        let mut head = [0; 44];
        self.stream.read_exact(&mut head)?;
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let mut body = vec![0; number(12) as usize];
        self.stream.read_exact(&mut body)?;
        Ok((number(2), number(8), body))
    }

    /// Sends a request and waits for its answer; pushes that come before it are kept.
    fn ask(&mut self, proto_id: u32, c2s: &[u8]) -> Result<Vec<u8>> {
        self.send(proto_id, &protobuf::bytes(1, c2s))?;
        loop {
            let (id, serial, body) = self.receive()?;
            if id == proto_id && serial == self.serial {
                return match protobuf::find(&body, 1) {
                    Some(protobuf::Value::Number(0)) => Ok(body),
                    _ => Err(Error::other(String::from_utf8_lossy(protobuf::field(&body, 2)).into_owned())),
                };
            }
            if id == 3005 {
                self.pushes.push_back(body);
            }
        }
    }

    fn push(&mut self) -> Result<Vec<u8>> {
        loop {
            if let Some(body) = self.pushes.pop_front() {
                return Ok(body);
            }
            let (id, _, body) = self.receive()?;
            if id == 3005 {
                self.pushes.push_back(body);
            }
        }
    }
}

/// `curPrice` of the first quote in an answer or a push: field 9 of s2c (4) / basicQotList.
fn price(body: &[u8], list: u64) -> f64 {
    let quote = protobuf::field(protobuf::field(body, 4), list);
    match protobuf::find(quote, 9) {
        Some(protobuf::Value::Double(price)) => price,
        _ => f64::NAN,
    }
}

fn main() -> Result<()> {
    let port = std::env::args().nth(1).unwrap_or("33333".into());
    // Only where opendmux has a keys file.
    let name = std::env::var("OPENDMUX_KEY").unwrap_or("rust-example".into());
    let stream = TcpStream::connect(format!("127.0.0.1:{port}"))?;
    let mut client = Client { stream, serial: 0, pushes: VecDeque::new() };

    // clientVer, clientID, recvNotify, packetEncAlgo (-1, none)
    let hello = [protobuf::number(1, 300), protobuf::bytes(2, name.as_bytes()), protobuf::number(3, 1), protobuf::number(4, u64::MAX)];
    client.ask(1001, &hello.concat())?;
    let security = [protobuf::number(1, 1), protobuf::bytes(2, b"00700")].concat();
    let tencent = protobuf::bytes(1, &security);
    // subTypeList (1, basic quotes), isSubOrUnSub, isRegOrUnRegPush
    let sub = [tencent.clone(), protobuf::number(2, 1), protobuf::number(3, 1), protobuf::number(4, 1)];
    client.ask(3001, &sub.concat())?;
    println!("quote HK.00700 {}", price(&client.ask(3004, &tencent)?, 1));
    for _ in 0..3 {
        println!("push HK.00700 {}", price(&client.push()?, 1));
    }
    Ok(())
}

mod protobuf {
    pub enum Value<'a> {
        Number(u64),
        Double(f64),
        Bytes(&'a [u8]),
        Other,
    }

    fn varint(mut value: u64, out: &mut Vec<u8>) {
        while value > 127 {
            out.push(value as u8 | 128);
            value >>= 7;
        }
        out.push(value as u8);
    }

    pub fn number(field: u64, value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        varint(field << 3, &mut out);
        varint(value, &mut out);
        out
    }

    pub fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        varint(field << 3 | 2, &mut out);
        varint(value.len() as u64, &mut out);
        out.extend(value);
        out
    }

    fn take_varint(body: &mut &[u8]) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = body.split_first()?;
            *body = rest;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Some(value);
            }
        }
        None
    }

    fn take<'a>(body: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
        let part = body.get(..count)?;
        *body = &body[count..];
        Some(part)
    }

    /// The first value of a field.
    pub fn find(mut body: &[u8], field: u64) -> Option<Value<'_>> {
        loop {
            let tag = take_varint(&mut body)?;
            let value = match tag & 7 {
                0 => Value::Number(take_varint(&mut body)?),
                1 => Value::Double(f64::from_le_bytes(take(&mut body, 8)?.try_into().ok()?)),
                2 => {
                    let size = take_varint(&mut body)? as usize;
                    Value::Bytes(take(&mut body, size)?)
                }
                _ => {
                    take(&mut body, 4)?;
                    Value::Other
                }
            };
            if tag >> 3 == field {
                return Some(value);
            }
        }
    }

    /// The bytes of a field; empty when it is not there.
    pub fn field(body: &[u8], field: u64) -> &[u8] {
        match find(body, field) {
            Some(Value::Bytes(value)) => value,
            _ => &[],
        }
    }
}

mod sha1 {
    pub fn digest(data: &[u8]) -> [u8; 20] {
        let mut state: [u32; 5] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
        let mut padded = data.to_vec();
        padded.push(128);
        while padded.len() % 64 != 56 {
            padded.push(0);
        }
        padded.extend((data.len() as u64 * 8).to_be_bytes());
        for block in padded.chunks(64) {
            let mut w = [0u32; 80];
            for (i, four) in block.chunks(4).enumerate() {
                w[i] = u32::from_be_bytes([four[0], four[1], four[2], four[3]]);
            }
            for i in 16..80 {
                w[i] = (w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16]).rotate_left(1);
            }
            let [mut a, mut b, mut c, mut d, mut e] = state;
            for (i, word) in w.iter().enumerate() {
                let (f, k) = match i / 20 {
                    0 => (b & c | !b & d, 0x5a827999),
                    1 => (b ^ c ^ d, 0x6ed9eba1),
                    2 => (b & c | b & d | c & d, 0x8f1bbcdc),
                    _ => (b ^ c ^ d, 0xca62c1d6u32),
                };
                let next = a.rotate_left(5).wrapping_add(f).wrapping_add(e).wrapping_add(k).wrapping_add(*word);
                (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
            }
            for (one, more) in state.iter_mut().zip([a, b, c, d, e]) {
                *one = one.wrapping_add(more);
            }
        }
        let mut out = [0; 20];
        for (i, word) in state.iter().enumerate() {
            out[i * 4..i * 4 + 4].copy_from_slice(&word.to_be_bytes());
        }
        out
    }
}
