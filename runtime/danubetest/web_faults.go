package danubetest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/schemapb"
)

// faultRequest is the body of every request that changes faults; each kind reads the fields that it needs.
type faultRequest struct {
	Method       string `json:"method"`
	Code         string `json:"code"` // such as UNAVAILABLE, which is the default
	Delay        string `json:"delay"`
	Count        *int   `json:"count"` // default 1
	Topic        string `json:"topic"`
	Subscription string `json:"subscription"`
	Consumer     string `json:"consumer"`
	Producer     string `json:"producer"`
	Client       string `json:"client"`
	Keep         *bool  `json:"keep"` // default true
}

// faultKinds are the last parts of the paths of the API, each with what it does and the sentence that it answers.
var faultKinds = map[string]func(*Broker, faultRequest) (string, error){
	"refuse": func(b *Broker, r faultRequest) (string, error) {
		code, err := r.code()
		if err != nil {
			return "", err
		}
		n, err := r.count(0)
		if err != nil {
			return "", err
		}
		if err := r.checkMethod(); err != nil {
			return "", err
		}
		b.Refuse(r.Method, code, n)
		return fmt.Sprintf("the next %d calls of %s end with %v", n, r.Method, code), nil
	},
	"delay": func(b *Broker, r faultRequest) (string, error) {
		n, err := r.count(Always)
		if err != nil {
			return "", err
		}
		if err := r.checkMethod(); err != nil {
			return "", err
		}
		if n == 0 {
			b.Delay(r.Method, 0, 0)
			return r.Method + " is not delayed any more", nil
		}
		wait, err := time.ParseDuration(r.Delay)
		if err != nil || wait <= 0 {
			return "", badRequest("delay %q is not a positive time such as 200ms", r.Delay)
		}
		b.Delay(r.Method, wait, n)
		return fmt.Sprintf("calls of %s wait %v", r.Method, wait), nil
	},
	"lose-acks": func(b *Broker, r faultRequest) (string, error) {
		n, err := r.count(Always)
		if err != nil {
			return "", err
		}
		return r.found(b.LoseAcks(r.Topic, r.Subscription, n), "acknowledgements of %s on %s are lost", r.Subscription, r.Topic)
	},
	"duplicate": func(b *Broker, r faultRequest) (string, error) {
		n, err := r.count(0)
		if err != nil {
			return "", err
		}
		return r.found(b.Duplicate(r.Topic, n), "the next %d deliveries of %s come twice", n, r.Topic)
	},
	"redeliver": func(b *Broker, r faultRequest) (string, error) {
		return r.found(b.Redeliver(r.Topic, r.Subscription), "what %s on %s has in flight comes again", r.Subscription, r.Topic)
	},
	"drop-streams": func(b *Broker, _ faultRequest) (string, error) {
		b.DropStreams()
		return "every receive stream has ended", nil
	},
	"cut-off": func(b *Broker, r faultRequest) (string, error) {
		if r.Client == "" {
			return "", badRequest("client is missing: the name of a producer or consumer, or an address")
		}
		return fmt.Sprintf("%s is cut off, %d connections closed", r.Client, b.CutOff(r.Client)), nil
	},
	"let-in": func(b *Broker, r faultRequest) (string, error) {
		if !b.LetIn(r.Client) {
			return "", notThere("client %q is not cut off", r.Client)
		}
		return r.Client + " is let in", nil
	},
	"forget-producer": func(b *Broker, r faultRequest) (string, error) {
		return r.found(b.ForgetProducer(r.Topic, r.Producer), "the id of producer %s on %s is forgotten", r.Producer, r.Topic)
	},
	"forget-consumer": func(b *Broker, r faultRequest) (string, error) {
		return r.found(b.ForgetConsumer(r.Topic, r.Subscription, r.Consumer), "the id of consumer %s on %s is forgotten", r.Consumer, r.Topic)
	},
	"close-health": func(b *Broker, r faultRequest) (string, error) {
		return r.found(b.CloseHealth(r.Topic, r.Subscription, r.Consumer), "HealthCheck of consumer %s on %s answers CLOSE", r.Consumer, r.Topic)
	},
	"stop-after": func(b *Broker, r faultRequest) (string, error) {
		n, err := r.count(0)
		if err != nil {
			return "", err
		}
		b.StopAfter(n)
		if n == 0 {
			return "the broker goes on", nil
		}
		return fmt.Sprintf("the broker stops after %d publishes", n), nil
	},
	"restart": func(b *Broker, r faultRequest) (string, error) {
		keep := r.Keep == nil || *r.Keep
		b.Restart(keep)
		if keep {
			return "restarted, messages and positions kept", nil
		}
		return "restarted, everything forgotten", nil
	},
	"clear": func(b *Broker, _ faultRequest) (string, error) {
		b.ClearFaults()
		return "every fault is switched off", nil
	},
}

// serveFault switches a fault. Only JSON is taken: no form of a foreign page can send it without being asked first.
func (b *Broker) serveFault(w http.ResponseWriter, r *http.Request) {
	done, err := b.switchFault(w, r)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, map[string]string{"done": done})
}

func (b *Broker) switchFault(w http.ResponseWriter, r *http.Request) (done string, err error) {
	kind := r.PathValue("kind")
	run := faultKinds[kind]
	if run == nil {
		return "", notThere("there is no fault %q; there are %s", kind, strings.Join(slices.Sorted(maps.Keys(faultKinds)), ", "))
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return "", &requestError{http.StatusUnsupportedMediaType, "send JSON, with Content-Type: application/json"}
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, webBody))
	dec.DisallowUnknownFields()
	var req faultRequest
	if err := dec.Decode(&req); err != nil && err != io.EOF { // no body is an empty object
		return "", badRequest("the body is not as expected: %v", err)
	}
	if done, err = run(b, req); err == nil {
		b.log.Info("fault switched", "kind", kind, "done", done)
	}
	return done, err
}

// maxFaultCount bounds what can be asked for.
const maxFaultCount = 1_000_000

// count reads how many times, at least lowest.
func (r faultRequest) count(lowest int) (int, error) {
	if r.Count == nil {
		return 1, nil
	}
	if *r.Count < lowest || *r.Count > maxFaultCount {
		return 0, badRequest("count %d is not within %d to %d", *r.Count, lowest, maxFaultCount)
	}
	return *r.Count, nil
}

func (r faultRequest) code() (c codes.Code, err error) {
	if r.Code == "" {
		return codes.Unavailable, nil
	}
	if err := c.UnmarshalJSON([]byte(`"` + strings.ToUpper(r.Code) + `"`)); err != nil || c == codes.OK {
		return c, badRequest("code %q is not a gRPC code that fails a call, such as UNAVAILABLE", r.Code)
	}
	return c, nil
}

// found answers a request that needs the topic, subscription, producer or consumer that it names.
func (r faultRequest) found(ok bool, format string, args ...any) (string, error) {
	if ok {
		return fmt.Sprintf(format, args...), nil
	}
	var named []string
	for _, part := range [][2]string{{"topic", r.Topic}, {"subscription", r.Subscription}, {"consumer", r.Consumer}, {"producer", r.Producer}} {
		if part[1] != "" {
			named = append(named, part[0]+" "+part[1])
		}
	}
	if len(named) == 0 {
		return "", badRequest("topic is missing")
	}
	return "", notThere("there is no %s", strings.Join(named, ", "))
}

func (r faultRequest) checkMethod() error {
	if names := methodNames(); !slices.Contains(names, r.Method) {
		return badRequest("there is no method %q; there are %s", r.Method, strings.Join(names, ", "))
	}
	return nil
}

// methodNames lists the calls that can be refused or delayed.
func methodNames() (names []string) {
	for _, d := range []grpc.ServiceDesc{
		danubepb.Discovery_ServiceDesc, danubepb.ProducerService_ServiceDesc, danubepb.ConsumerService_ServiceDesc,
		danubepb.HealthCheck_ServiceDesc, schemapb.SchemaRegistry_ServiceDesc, adminpb.TopicAdmin_ServiceDesc,
		adminpb.NamespaceAdmin_ServiceDesc, adminpb.BrokerAdmin_ServiceDesc,
	} {
		for _, m := range d.Methods {
			names = append(names, m.MethodName)
		}
		for _, s := range d.Streams {
			names = append(names, s.StreamName)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
