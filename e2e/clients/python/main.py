"""Drives the development broker with the official Python client, as an application would, and ends with an error at the first thing
that is not as it should be.

usage: main.py BROKER_URL STATUS_URL

E2E_IMITATES says that the broker behaves like the real one. For one with TLS, E2E_CA names the file with its authority's certificate,
E2E_TOKEN is a token that may do everything and E2E_STRANGER one that may look topics up and no more.
"""

import asyncio
import collections
import json
import os
import sys
import urllib.request

from danube import DanubeClientBuilder, DispatchStrategy, ProducerOptions, SchemaType, SubType

PATIENCE = 15  # seconds that a message may take
IMITATES, CA, TOKEN, STRANGER = (os.environ.get("E2E_" + name) for name in ("IMITATES", "CA", "TOKEN", "STRANGER"))


def ensure(ok, why):
    if not ok:
        raise AssertionError(why)


def http(base, path, body=None):
    """Asks the broker's status port."""
    data = None if body is None else json.dumps(body).encode()
    bearer = {"Authorization": "Bearer " + TOKEN} if TOKEN else {}
    request = urllib.request.Request(base + path, data, {"Content-Type": "application/json", **bearer})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.load(answer)


async def producer(client, topic, **more):
    builder = client.new_producer().with_topic(topic).with_name("python").with_dispatch_strategy(DispatchStrategy.RELIABLE)
    for name, value in more.items():
        builder = getattr(builder, "with_" + name)(*value)
    made = builder.build()
    await made.create()
    return made


async def consumer(client, topic, name, kind):
    made = (client.new_consumer().with_topic(topic).with_consumer_name(name).with_subscription("sub")
            .with_subscription_type(kind).build())
    await made.subscribe()
    return made


async def refused(attempt):
    """Returns how an attempt that must fail does so."""
    try:
        await attempt
    except Exception as error:  # the client has no common base of its errors
        return str(error)
    raise AssertionError("it was not refused")


async def following(queue):
    return await asyncio.wait_for(queue.get(), PATIENCE)


async def round_trip(client, status):
    topic = "/default/python-round-trip"
    p = await producer(client, topic)
    c = await consumer(client, topic, "one", SubType.EXCLUSIVE)
    await refused(consumer(client, topic, "two", SubType.EXCLUSIVE))
    queue = await c.receive()
    for i in range(200):
        await p.send_with_key(b"m%d" % i, {"n": str(i)}, "a key")
    for i in range(200):
        m = await following(queue)
        got = (m.payload, m.msg_id.topic_offset, dict(m.attributes), m.routing_key)
        ensure(got == (b"m%d" % i, i, {"n": str(i)}, "a key"), f"message {i} is {got}")
        await c.ack(m)
    await p.send(b"bad")
    for again in (False, True):
        m = await following(queue)
        ensure(m.payload == b"bad", f"the nacked message did not come again, but {m.payload}")
        await (c.ack(m) if again else c.nack(m, 0, "not yet"))
    sub = http(status, "/api/topics" + topic)["subscriptions"][0]
    ensure((sub["backlog"], sub["acked"], sub["redelivered"]) == (0, 201, 1), f"not all is acknowledged: {sub}")
    await c.close()


async def partitions(client):
    topic = "/default/python-partitions"
    p = await producer(client, topic, partitions=[3])
    c = await consumer(client, topic, "one", SubType.SHARED)
    queue = await c.receive()
    for i in range(30):
        await p.send(b"m%d" % i)
    for _ in range(5):
        await p.send_with_key(b"keyed", None, "k")
    plain, keyed = collections.Counter(), collections.Counter()
    for _ in range(35):
        m = await following(queue)
        (keyed if m.payload == b"keyed" else plain)[m.msg_id.topic_name] += 1
        await c.ack(m)
    ensure(plain == {f"{topic}-part-{i}": 10 for i in range(3)}, f"partitions {plain}")
    ensure(len(keyed) == 1, f"one key on partitions {keyed}")
    await c.close()


async def key_shared(client, status):
    topic = "/default/python-keys"
    p = await producer(client, topic)
    c = [await consumer(client, topic, name, SubType.KEY_SHARED) for name in ("one", "two")]
    queues = [await each.receive() for each in c]
    async with asyncio.timeout(PATIENCE):  # keys stay where they are as long as the consumers do
        while not all(each["receiving"] for each in http(status, "/api/topics" + topic)["subscriptions"][0]["consumers"]):
            await asyncio.sleep(0.02)
    count = 8 if IMITATES else 40  # beyond its window the real broker delivers two a second
    for i in range(count):
        await p.send_with_key(b"m%02d" % i, None, f"k{i % 4}")
    owners, order = collections.defaultdict(set), collections.defaultdict(list)

    async def read(at):
        while True:
            m = await queues[at].get()
            owners[m.routing_key].add(at)
            order[m.routing_key].append(m.payload)
            await c[at].ack(m)

    readers = [asyncio.create_task(read(at)) for at in (0, 1)]
    async with asyncio.timeout(PATIENCE):
        while sum(map(len, order.values())) < count:
            await asyncio.sleep(0.02)
    for i in range(64):  # the ids of consumers are random, so one of them may own the few keys so far
        if set.union(*owners.values()) == {0, 1}:
            break
        await p.send_with_key(b"more", None, f"more{i}")
        await asyncio.sleep(0.1)
    for reader in readers:
        reader.cancel()
    ensure(all(len(o) == 1 for o in owners.values()), f"a key went to several consumers: {dict(owners)}")
    ensure(set.union(*owners.values()) == {0, 1}, f"one consumer got nothing: {dict(owners)}")
    ensure(all(o == sorted(o) for o in order.values()), f"a key is out of order: {dict(order)}")
    for each in c:
        await each.close()


async def schema(client):
    def record(*fields):
        return json.dumps({"type": "record", "name": "P", "fields": [{"name": "id", "type": "string"}, *fields]}).encode()

    registry, subject, topic = client.schema(), "python-product", "/default/python-schema"

    async def register(text):
        return await registry.register_schema(subject).with_type(SchemaType.AVRO).with_schema_data(text).execute()

    first = await register(record())
    ensure(await register(record()) == first, "the same schema got another id")
    required = record({"name": "price", "type": "double"})
    compatible, errors = await registry.check_compatibility(subject, required, SchemaType.AVRO)
    ensure(not compatible and errors, "a required field was found compatible")
    await refused(register(required))
    ensure(await register(record({"name": "note", "type": ["null", "string"], "default": None})) == first, "a second version got another id")
    ensure(await registry.list_versions(subject) == [1, 2], "versions are not 1 and 2")
    latest = await registry.get_latest_schema(subject)
    ensure(latest.version == 2, f"latest version is {latest.version}")

    why = await refused(producer(client, "/default/python-none", schema_subject=["python-none"]))
    ensure("not found" in why, f"unknown subject: {why}")
    p = await producer(client, topic, schema_version=[subject, 1])
    c = await consumer(client, topic, "one", SubType.EXCLUSIVE)
    queue = await c.receive()
    await p.send(b"anything")
    m = await following(queue)
    ensure((m.schema_id, m.schema_version) == (first, 1), f"schema {m.schema_id} {m.schema_version}")
    await c.ack(m)
    await c.close()


async def reconnect(client, status):
    topic = "/default/python-reconnect"
    p = await producer(client, topic)
    c = await consumer(client, topic, "one", SubType.EXCLUSIVE)
    queue = await c.receive()
    await p.send(b"m0")
    ensure((await following(queue)).payload == b"m0", "m0 did not come")
    http(status, "/api/faults/drop-streams", {})
    m = await following(queue)
    ensure(m.payload == b"m0", f"{m.payload} instead of what was not acknowledged")
    await c.ack(m)
    http(status, "/api/faults/refuse", {"method": "SendMessage", "count": 2})
    await p.send(b"m1")
    ensure((await following(queue)).payload == b"m1", "m1 did not come")
    await c.close()  # this client's consumers do not live through a restart

    http(status, "/api/faults/restart", {"keep": True})
    try:
        await p.send(b"m2")
    except Exception as error:
        ensure("does not exist" in str(error), f"a forgotten producer: {error}")
        p = await producer(client, topic)
        await p.send(b"m2")
    c = await consumer(client, topic, "one", SubType.EXCLUSIVE)
    queue = await c.receive()
    await p.send(b"m3")
    # on one like the real broker offsets begin again, and a young subscription gets only what is published from its Subscribe on
    for want in [(b"m3", 1)] if IMITATES else [(b"m1", 1), (b"m2", 2), (b"m3", 3)]:
        m = await following(queue)
        ensure((m.payload, m.msg_id.topic_offset) == want, f"want {want}, got {m}")
        await c.ack(m)
    await c.close()


async def strangers(broker):
    """Who is not let in is told why: without the authority's certificate, without a token, with a forged one and without the right."""
    topic = "/default/python-strangers"
    for ca, token, want in (
        (None, STRANGER, "UNAVAILABLE"),  # the reason stands in its log only
        (CA, None, "Authentication credentials are missing"),
        (CA, STRANGER[:-4] + "AAAA", "Invalid token"),
        (CA, STRANGER, f"no binding grants Produce on Topic({topic})"),
    ):
        builder = DanubeClientBuilder().service_url(broker)
        builder = builder.with_tls(ca) if ca else builder
        builder = builder.with_token(token) if token else builder
        why = await refused(producer(await builder.build(), topic, options=[ProducerOptions(max_retries=1)]))
        ensure(want in why, f"want {want}, got {why}")


async def main(broker, status):
    builder = DanubeClientBuilder().service_url(broker)
    if CA:
        await strangers(broker)
        print("ok: strangers are refused")
        builder = builder.with_tls(CA).with_token_supplier(lambda: TOKEN)
    client = await builder.build()
    await round_trip(client, status)
    print("ok: 200 messages in order, one nacked, all acknowledged")
    await partitions(client)
    print("ok: partitions in turn and by key")
    await key_shared(client, status)
    print("ok: each key at one consumer, in order")
    await schema(client)
    print("ok: schema registered, evolved, refused and delivered")
    await reconnect(client, status)
    print("ok: lost streams, refused calls and a restart")


if len(sys.argv) != 3:
    sys.exit("usage: main.py BROKER_URL STATUS_URL")
asyncio.run(main(*sys.argv[1:]))
