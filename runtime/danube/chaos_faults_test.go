package danube_test

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
)

// disturb does one random thing that goes wrong in the world. Nothing else moves meanwhile.
func (w *world) disturb() {
	faults := []func(){
		w.dropStreams, w.dropStreams, w.forgetProducer, w.forgetProducer, w.forgetConsumer, w.closeHealth, w.delay, w.delay, w.refuse, w.refuse,
		w.refuse, w.duplicate, w.redeliver, w.cutOff, w.cutOff, w.pause, w.pause, w.wipe, w.heal,
	}
	if !w.imitate { // restarts of the real broker lose messages, and it does not lie about acknowledgements
		faults = append(faults, w.restart, w.restart, w.stopAfter, w.loseAcks)
	}
	faults[w.random.IntN(len(faults))]()
}

func (w *world) someTopic() string    { return oneOf(w.random, w.topics()...) }
func (w *world) someSub() *subPlan    { return oneOf(w.random, w.subs...) }
func (w *world) someReader() *reader  { return oneOf(w.random, w.readers...) }
func (w *world) someProducer() string { return w.plans[w.random.IntN(len(w.plans))].settings.Name }
func (w *world) producerAt(partition string, name string) string {
	if w.partitions == 0 {
		return name
	}
	return name + partition[len(topic)+len("-part"):]
}

func (w *world) dropStreams() {
	w.note("drop streams")
	w.broker.DropStreams()
}

func (w *world) restart() {
	w.note("restart")
	w.broker.Restart(true)
}

// wipe restarts the broker without its memory.
func (w *world) wipe() {
	for _, s := range w.subs {
		if s.consumers > 1 { // what one of several has not looked at yet is of the life before
			w.dropStreams()
			return
		}
	}
	if w.random.IntN(2) == 0 {
		w.dropStreams()
		return
	}
	w.note("restart without memory")
	w.keepBooks()
	w.broker.Restart(false)
}

func (w *world) stopAfter() {
	n := 1 + w.random.IntN(5)
	w.note("stop after %d", n)
	w.broker.StopAfter(n)
}

func (w *world) forgetProducer() {
	at := w.someTopic()
	name := w.producerAt(at, w.someProducer())
	w.note("forget producer %s on %s: %v", name, at, w.broker.ForgetProducer(at, name))
}

func (w *world) forgetConsumer() {
	at, r := w.someTopic(), w.someReader()
	w.note("forget consumer %s on %s: %v", r.name, at, w.broker.ForgetConsumer(at, r.plan.settings.Subscription, r.name))
}

func (w *world) closeHealth() {
	at, r := w.someTopic(), w.someReader()
	w.note("close health of %s: %v", r.name, w.broker.CloseHealth(at, r.plan.settings.Subscription, r.name))
}

var methods = []string{"TopicLookup", "CreateProducer", "SendMessage", "SendMessage", "SendMessage", "Subscribe", "ReceiveMessages", "Ack", "Ack", "Nack"}

func (w *world) delay() {
	method, wait, n := oneOf(w.random, methods...), oneOf(w.random, 10*time.Millisecond, 700*time.Millisecond, 3*time.Second, 20*time.Second), 1+w.random.IntN(5)
	w.note("delay %s by %v %d times", method, wait, n)
	w.broker.Delay(method, wait, n)
}

// refuse makes calls fail in ways that a retry mends, and now and then in one that none does where only the message is lost by that.
func (w *world) refuse() {
	method := oneOf(w.random, methods...)
	code := oneOf(w.random, codes.Unavailable, codes.NotFound, codes.DeadlineExceeded, codes.Internal, codes.ResourceExhausted, codes.Aborted,
		codes.Unknown, codes.Canceled)
	if (method == "SendMessage" || method == "CreateProducer" && w.partitions > 0) && w.random.IntN(5) == 0 {
		code = codes.InvalidArgument
	}
	n := 1 + w.random.IntN(6)
	w.note("refuse %s with %v %d times", method, code, n)
	w.broker.Refuse(method, code, n)
}

func (w *world) duplicate() {
	at, n := w.someTopic(), 1+w.random.IntN(5)
	w.note("duplicate %d of %s", n, at)
	for _, s := range w.subs {
		s.repeats = true
	}
	w.broker.Duplicate(at, n)
}

func (w *world) redeliver() {
	at, s := w.someTopic(), w.someSub()
	w.note("redeliver on %s to %s", at, s.settings.Subscription)
	s.repeats = true
	w.broker.Redeliver(at, s.settings.Subscription)
}

func (w *world) loseAcks() {
	at, s, n := w.someTopic(), w.someSub(), 1+w.random.IntN(5)
	w.note("lose %d acknowledgements of %s on %s", n, s.settings.Subscription, at)
	s.repeats, w.lostAcks = true, true
	w.broker.LoseAcks(at, s.settings.Subscription, n)
}

// cutOff takes the network from whoever shares a connection with a client.
func (w *world) cutOff() {
	name := w.someReader().name
	if w.random.IntN(2) == 0 {
		name = w.producerAt(w.someTopic(), w.someProducer())
	}
	w.note("cut off %s", name)
	w.broker.CutOff(name)
	w.undo = append(w.undo, func() { w.broker.LetIn(name) })
}

var errAway = errors.New("the target is away")

func (w *world) pause() {
	r := w.someReader()
	w.note("pause %s", r.name)
	r.Pause(errAway)
	w.undo = append(w.undo, func() {
		w.note("resume %s", r.name)
		r.Resume()
	})
}

// heal ends what goes wrong.
func (w *world) heal() {
	w.note("heal")
	for _, undo := range w.undo {
		undo()
	}
	w.undo = nil
	w.broker.ClearFaults()
	if w.broker.Stopped() {
		w.restart()
	}
}

// nudge publishes where the real broker stands still until somebody does: an acknowledgement that met a message on its way to be delivered
// again is ignored with OK, so that of the newest comes before it; and a subscription that is younger than its topic's messages waits.
func (w *world) nudge() {
	for _, s := range w.subs {
		if w.imitate && (s.repeats || s.nacks > 0 || len(w.ledger.lives) > 0) {
			w.nudges++
			w.note("nudge")
			for partition := range w.topics() {
				w.sendSurely(w.producers[0], w.plans[0].sender("nudge"), partition, w.nudges)
			}
			return
		}
	}
}

// state describes why there is no rest.
func (w *world) state() string {
	text := fmt.Sprintf("%d sends open", w.ledger.open())
	for _, sub := range w.subs {
		for _, at := range w.topics() {
			s, ok := w.broker.Subscription(at, sub.settings.Subscription)
			text += fmt.Sprintf("\n%s of %s: %v %+v", sub.settings.Subscription, at, ok, s)
		}
	}
	for _, r := range w.readers {
		text += fmt.Sprintf("\n%s: held %d, %+v, health %v", r.name, r.Held(), r.Stats(), r.Health())
	}
	for _, p := range w.producers {
		text += fmt.Sprintf("\nproducer: health %v", p.Health())
	}
	return text + fmt.Sprint("\n", w.broker.Faults())
}
