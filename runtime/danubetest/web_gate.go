package danubetest

import (
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// demandToken lets those in who may manage the cluster, if the broker has a gate: the port shows payloads of every topic and its faults
// hit everybody, so that no narrower right would do. Refusals have the texts of the other ports.
func (b *Broker) demandToken(h http.Handler) http.Handler {
	g := b.settings.gate
	if g == nil {
		return h
	}
	needs := onCluster(ManageCluster)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := g.admit(b.log, r.Header.Values("Authorization"), r.Method+" "+r.URL.Path, needs, nil)
		switch status.Code(err) {
		case codes.OK:
			h.ServeHTTP(w, r)
		case codes.Unauthenticated:
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, &requestError{http.StatusUnauthorized, status.Convert(err).Message()})
		default:
			refuse(w, &requestError{http.StatusForbidden, status.Convert(err).Message()})
		}
	})
}
