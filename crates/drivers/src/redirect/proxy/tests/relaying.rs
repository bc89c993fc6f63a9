//! Bytes: whole, in order, both ways, with the ends in their places.

use proptest::prelude::*;
use tokio::io::{ReadHalf, WriteHalf, split};

use super::*;

/// A client and the instance it reached through the proxy.
async fn pair() -> (World, TcpStream, TcpStream) {
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let world = World::start(listener.local_addr().unwrap());
    let client = TcpStream::connect(world.listen).await.unwrap();
    let (instance, _) = listener.accept().await.unwrap();
    // The instance may accept before the proxy knows that it is connected.
    world
        .until("the connection", |now| now.open.len() == 1)
        .await;
    (world, client, instance)
}

/// Bytes that tell when one is lost, doubled or out of place.
fn pattern(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

async fn send(mut to: WriteHalf<TcpStream>, bytes: &[u8], chunk: usize) {
    for piece in bytes.chunks(chunk) {
        to.write_all(piece).await.unwrap();
    }
    to.shutdown().await.unwrap();
}

async fn receive(mut from: ReadHalf<TcpStream>, chunk: usize) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; chunk]);
    loop {
        match from.read(&mut buffer).await.unwrap() {
            0 => return all,
            n => all.extend_from_slice(&buffer[..n]),
        }
    }
}

/// Sends both ways at the same time, reads in pieces of its own, and compares.
async fn exchange(up: &[u8], down: &[u8], send_chunk: usize, receive_chunk: usize) {
    let (world, client, instance) = pair().await;
    let (client_in, client_out) = split(client);
    let (instance_in, instance_out) = split(instance);
    let ((), (), got_up, got_down) = tokio::join!(
        send(client_out, up, send_chunk),
        send(instance_out, down, send_chunk),
        receive(instance_in, receive_chunk),
        receive(client_in, receive_chunk),
    );
    assert!(
        got_up == up,
        "client to target: {} of {} bytes",
        got_up.len(),
        up.len()
    );
    assert!(
        got_down == down,
        "target to client: {} of {} bytes",
        got_down.len(),
        down.len()
    );
    world.until("the end", |now| now.open.is_empty()).await;
    let stats = world.stats();
    assert_eq!(
        (stats.bytes_to_target, stats.bytes_to_client),
        (up.len() as u64, down.len() as u64)
    );
}

#[tokio::test]
async fn sixteen_mebibytes_arrive_whole_both_ways_at_once() {
    let (up, down) = (pattern(16 << 20, 1), pattern(16 << 20, 2));
    soon(exchange(&up, &down, 100_000, 30_000)).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, fork: false, ..ProptestConfig::default() })]

    #[test]
    fn any_chunks_arrive_whole_both_ways(
        up in 0_usize..200_000,
        down in 0_usize..200_000,
        send_chunk in 500_usize..70_000,
        receive_chunk in 300_usize..70_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (up, down) = (pattern(up, 3), pattern(down, 4));
        runtime.block_on(soon(exchange(&up, &down, send_chunk, receive_chunk)));
    }
}

#[tokio::test]
async fn a_half_closed_connection_goes_on_the_other_way() {
    soon(async {
        let (_world, mut client, mut instance) = pair().await;
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut question = String::new();
        instance.read_to_string(&mut question).await.unwrap();
        assert_eq!(question, "question");
        for piece in ["long ", "answer"] {
            instance.write_all(piece.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
        }
        drop(instance);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "long answer");
    })
    .await;
}

#[tokio::test]
async fn a_reset_is_passed_on_as_a_reset_in_either_direction() {
    soon(async {
        let reset = |result: io::Result<usize>| {
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        };
        let (_world, mut client, instance) = pair().await;
        instance.set_zero_linger().unwrap();
        drop(instance);
        reset(client.read(&mut [0]).await);

        let (_world, client, mut instance) = pair().await;
        client.set_zero_linger().unwrap();
        drop(client);
        reset(instance.read(&mut [0]).await);
    })
    .await;
}

#[tokio::test]
async fn an_answer_given_before_the_question_was_read_to_its_end_arrives() {
    soon(async {
        let (_world, mut client, mut instance) = pair().await;
        client.write_all(b"the first part").await.unwrap();
        instance.read_exact(&mut [0; 14]).await.unwrap();
        instance.write_all(b"enough").await.unwrap();
        drop(instance);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "enough");
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_does_not_read_stops_the_sender() {
    soon(async {
        let (world, mut client, mut instance) = pair().await;
        let sent = vec![7; 64 << 20];
        let sending = async { client.write_all(&sent).await.unwrap() };
        let receiving = async {
            world.until("bytes", |now| now.bytes_to_target > 0).await;
            let mut before = 0;
            // Until nothing moves any more, with most of it still at the sender's.
            world
                .until("a standstill", |now| {
                    std::mem::replace(&mut before, now.bytes_to_target) == now.bytes_to_target
                })
                .await;
            assert!(world.stats().bytes_to_target < 48 << 20);
            let mut got = vec![0; sent.len()];
            instance.read_exact(&mut got).await.unwrap();
            assert!(got == sent);
        };
        tokio::join!(sending, receiving);
    })
    .await;
}
