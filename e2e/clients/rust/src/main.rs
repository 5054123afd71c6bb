//! Drives the development broker with the official Rust client, as an application would, and ends with an error at the first thing
//! that is not as it should be.
//!
//! usage: danube-clients-e2e BROKER_URL STATUS_URL
//!
//! E2E_IMITATES says that the broker behaves like the real one. For one with TLS, E2E_CA names the file with its authority's certificate,
//! E2E_TOKEN is a token that may do everything and E2E_STRANGER one that may look topics up and no more.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use danube_client::{Consumer, DanubeClient, Producer, SchemaType, SubType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How long a message may take.
const PATIENCE: Duration = Duration::from_secs(15);

macro_rules! ensure {
    ($ok:expr, $($why:tt)+) => { if !$ok { return Err(format!($($why)+).into()); } };
}

fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// HTTP asks the broker's status port; the answer's body comes back.
async fn http(base: &str, method: &str, path: &str, body: &str) -> Result<String> {
    let host = base.trim_start_matches("http://");
    let mut conn = TcpStream::connect(host).await?;
    let bearer = setting("E2E_TOKEN").map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {host}\r\n{bearer}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    conn.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    conn.read_to_string(&mut answer).await?;
    ensure!(answer.contains(" 200 OK"), "{method} {path}: {answer}");
    Ok(answer.split_once("\r\n\r\n").ok_or("no body")?.1.to_string())
}

async fn producer(client: &DanubeClient, topic: &str) -> Result<Producer> {
    let mut p = client.new_producer().with_topic(topic).with_name("rust").with_reliable_dispatch().build()?;
    p.create().await?;
    Ok(p)
}

async fn consumer(client: &DanubeClient, topic: &str, name: &str, kind: SubType) -> Result<Consumer> {
    let mut c = client
        .new_consumer()
        .with_topic(topic)
        .with_consumer_name(name)
        .with_subscription("sub")
        .with_subscription_type(kind)
        .build()?;
    c.subscribe().await?;
    Ok(c)
}

/// Messages come in order, with keys and attributes; a nacked one comes again; nothing is left in the end.
async fn round_trip(client: &DanubeClient, status: &str) -> Result {
    let topic = "/default/rust-round-trip";
    let p = producer(client, topic).await?;
    let mut c = consumer(client, topic, "one", SubType::Exclusive).await?;
    ensure!(consumer(client, topic, "two", SubType::Exclusive).await.is_err(), "an Exclusive subscription took a second consumer");
    let mut stream = c.receive().await?;
    for i in 0..200 {
        let attributes = HashMap::from([("n".to_string(), i.to_string())]);
        p.send_with_key(format!("m{i}").into_bytes(), Some(attributes), "a key").await?;
    }
    for i in 0..200 {
        let m = timeout(PATIENCE, stream.recv()).await?.ok_or("the stream ended")?;
        ensure!(m.payload == format!("m{i}"), "want m{i}, got {:?}", m.payload);
        ensure!(m.msg_id.topic_offset == i, "offset {} of message {i}", m.msg_id.topic_offset);
        ensure!(m.attributes.get("n") == Some(&i.to_string()), "attributes {:?}", m.attributes);
        ensure!(m.routing_key.as_deref() == Some("a key"), "key {:?}", m.routing_key);
        c.ack(&m).await?;
    }
    p.send(b"bad".to_vec(), None).await?;
    for i in 0..2 {
        let m = timeout(PATIENCE, stream.recv()).await?.ok_or("the stream ended")?;
        ensure!(m.payload == "bad" && m.msg_id.topic_offset == 200, "the nacked message did not come again, but {:?}", m.payload);
        if i == 0 {
            c.nack(&m, Some(0), Some("not yet".to_string())).await?;
        } else {
            c.ack(&m).await?;
        }
    }
    let state = http(status, "GET", "/api/topics/default/rust-round-trip", "").await?;
    ensure!(state.contains(r#""backlog":0"#) && state.contains(r#""acked":201"#), "not all is acknowledged: {state}");
    c.close().await;
    Ok(())
}

/// All partitions are written in turn and read by one consumer; a key stays on its partition.
async fn partitions(client: &DanubeClient) -> Result {
    let topic = "/default/rust-partitions";
    let mut p =
        client.new_producer().with_topic(topic).with_name("rust").with_reliable_dispatch().with_partitions(3).build()?;
    p.create().await?;
    let mut c = consumer(client, topic, "one", SubType::Shared).await?;
    let mut stream = c.receive().await?;
    for i in 0..30 {
        p.send(format!("m{i}").into_bytes(), None).await?;
    }
    for _ in 0..5 {
        p.send_with_key(b"keyed".to_vec(), None, "k").await?;
    }
    let (mut plain, mut keyed) = (BTreeMap::new(), BTreeMap::new());
    for _ in 0..35 {
        let m = timeout(PATIENCE, stream.recv()).await?.ok_or("the stream ended")?;
        *if m.payload == "keyed" { &mut keyed } else { &mut plain }.entry(m.msg_id.topic_name.clone()).or_insert(0) += 1;
        c.ack(&m).await?;
    }
    let want: BTreeMap<_, _> = (0..3).map(|i| (format!("{topic}-part-{i}"), 10)).collect();
    ensure!(plain == want, "partitions {plain:?}");
    ensure!(keyed.len() == 1, "one key on partitions {keyed:?}");
    c.close().await;
    Ok(())
}

/// A schema is registered, evolves as its mode allows and comes with the messages.
async fn schema(client: &DanubeClient) -> Result {
    let record = |fields: &str| format!(r#"{{"type":"record","name":"P","fields":[{{"name":"id","type":"string"}}{fields}]}}"#);
    let registry = client.schema();
    let subject = "rust-product";
    let register = |text: String| registry.register_schema(subject).with_type(SchemaType::Avro).with_schema_data(text.into_bytes()).execute();
    let first = register(record("")).await?;
    ensure!(register(record("")).await? == first, "the same schema got another id");
    let optional = record(r#",{"name":"note","type":["null","string"],"default":null}"#);
    let required = record(r#",{"name":"price","type":"double"}"#);
    let bad = registry.check_compatibility(subject, required.clone().into_bytes(), SchemaType::Avro, None).await?;
    ensure!(!bad.is_compatible && !bad.errors.is_empty(), "a required field was found compatible");
    ensure!(register(required).await.is_err(), "a required field was registered");
    ensure!(register(optional).await? == first, "a second version got another id");
    let versions = registry.list_versions(subject).await?;
    ensure!(versions == [1, 2], "versions {versions:?}");
    let latest = registry.get_latest_schema(subject).await?;
    ensure!(latest.version == 2 && latest.schema_type == "avro", "latest {latest:?}");

    let topic = "/default/rust-schema";
    let unknown = client.new_producer().with_topic("/default/rust-none").with_name("x").with_schema_subject("rust-none");
    let err = unknown.build()?.create().await.expect_err("a producer of an unknown subject").to_string();
    ensure!(err.contains("not found"), "unknown subject: {err}");
    let mut p = client.new_producer().with_topic(topic).with_name("rust").with_reliable_dispatch().with_schema_version(subject, 1).build()?;
    p.create().await?;
    let mut c = consumer(client, topic, "one", SubType::Exclusive).await?;
    let mut stream = c.receive().await?;
    p.send(b"anything".to_vec(), None).await?;
    let m = timeout(PATIENCE, stream.recv()).await?.ok_or("the stream ended")?;
    ensure!((m.schema_id, m.schema_version) == (Some(first), Some(1)), "schema {:?} {:?}", m.schema_id, m.schema_version);
    c.ack(&m).await?;
    c.close().await;
    Ok(())
}

/// A lost stream heals by itself; after a restart of the broker a new producer and consumer go on where the old ones stood. On one like
/// the real broker offsets begin again, and a young subscription gets only what is published from its Subscribe on.
async fn reconnect(client: &DanubeClient, status: &str) -> Result {
    let topic = "/default/rust-reconnect";
    let p = producer(client, topic).await?;
    let mut c = consumer(client, topic, "one", SubType::Exclusive).await?;
    let mut stream = c.receive().await?;
    p.send(b"m0".to_vec(), None).await?;
    let m = timeout(PATIENCE, stream.recv()).await?.ok_or("the stream ended")?;
    ensure!(m.payload == "m0", "{:?}", m.payload);
    http(status, "POST", "/api/faults/drop-streams", "{}").await?;
    let m = timeout(PATIENCE, stream.recv()).await?.ok_or("the consumer gave up after a lost stream")?;
    ensure!(m.payload == "m0", "{:?} instead of what was not acknowledged", m.payload);
    c.ack(&m).await?;

    http(status, "POST", "/api/faults/refuse", r#"{"method":"SendMessage","count":2}"#).await?;
    p.send(b"m1".to_vec(), None).await?;
    let m = timeout(PATIENCE, stream.recv()).await?.ok_or("the stream ended")?;
    ensure!(m.payload == "m1", "{:?}", m.payload);

    http(status, "POST", "/api/faults/restart", r#"{"keep":true}"#).await?;
    let mut p = p;
    if p.send(b"m2".to_vec(), None).await.is_err() {
        p.create().await?; // this client does not create its producers anew by itself
        p.send(b"m2".to_vec(), None).await?;
    }
    c.close().await;
    let mut c = consumer(client, topic, "one", SubType::Exclusive).await?;
    let mut stream = c.receive().await?;
    p.send(b"m3".to_vec(), None).await?;
    let wanted: &[(&str, u64)] = if setting("E2E_IMITATES").is_some() { &[("m3", 1)] } else { &[("m1", 1), ("m2", 2), ("m3", 3)] };
    for (want, offset) in wanted {
        let m = timeout(PATIENCE, stream.recv()).await?.ok_or("the stream ended")?;
        ensure!(m.payload == want && m.msg_id.topic_offset == *offset, "want {want} at {offset}, got {:?}", m);
        c.ack(&m).await?;
    }
    c.close().await;
    Ok(())
}

/// Who is not let in is told why: without the authority's certificate, without a token, with a forged one and without the right.
async fn strangers(broker: &str, ca: &str, stranger: &str) -> Result {
    let forged = format!("{}AAAA", &stranger[..stranger.len() - 4]);
    for (authority, token, want) in [
        (None, stranger, "UnknownIssuer"),
        (Some(ca), "", "Authentication credentials are missing"),
        (Some(ca), &forged, "Invalid token"),
        (Some(ca), stranger, "no binding grants Produce on Topic(/default/rust-strangers)"),
    ] {
        let mut builder = DanubeClient::builder().service_url(broker);
        if let Some(file) = authority {
            builder = builder.with_tls(file)?;
        }
        if !token.is_empty() {
            builder = builder.with_token(token);
        }
        let Err(err) = producer(&builder.build().await?, "/default/rust-strangers").await else {
            return Err(format!("not refused: want {want}").into());
        };
        ensure!(format!("{err:?}").contains(want), "want {want}, got {err:?}");
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [broker, status] = args.as_slice() else { return Err("usage: danube-clients-e2e BROKER_URL STATUS_URL".into()) };
    let mut builder = DanubeClient::builder().service_url(broker);
    if let (Some(ca), Some(token), Some(stranger)) = (setting("E2E_CA"), setting("E2E_TOKEN"), setting("E2E_STRANGER")) {
        strangers(broker, &ca, &stranger).await.map_err(|e| format!("strangers: {e}"))?;
        println!("ok: strangers are refused");
        builder = builder.with_tls(ca)?.with_token(token);
    }
    let client = builder.build().await?;
    round_trip(&client, status).await.map_err(|e| format!("round trip: {e}"))?;
    println!("ok: 200 messages in order, one nacked, all acknowledged");
    partitions(&client).await.map_err(|e| format!("partitions: {e}"))?;
    println!("ok: partitions in turn and by key");
    schema(&client).await.map_err(|e| format!("schema: {e}"))?;
    println!("ok: schema registered, evolved, refused and delivered");
    reconnect(&client, status).await.map_err(|e| format!("reconnect: {e}"))?;
    println!("ok: lost streams, refused calls and a restart");
    Ok(())
}
