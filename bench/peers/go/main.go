// The peer in Go: the gateway that a good engineer writes by hand with gorilla/websocket and
// go-redis. It has the same URLs, keys, channels and environment (REDIS_URL, LISTEN_ADDR,
// AUTH_TOKEN_MODE) as ours and nothing else: no limits but one queue for each socket, no heartbeat,
// no metrics.
package main

import (
	"context"
	"crypto/subtle"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"

	"github.com/gorilla/websocket"
	"github.com/redis/go-redis/v9"
)

var sessionURL = regexp.MustCompile(`^/[\w.-]+/ws/([\w.-]+)$`)

type gateway struct {
	redis    *redis.Client
	sessions *sessions
	frames   *publisher
	upgrader websocket.Upgrader
	reusable bool
}

func main() {
	options, err := redis.ParseURL(setting("REDIS_URL", "redis://127.0.0.1:6379"))
	if err != nil {
		log.Fatal(err)
	}
	client := redis.NewClient(options)
	if err := client.Ping(context.Background()).Err(); err != nil {
		log.Fatal(err)
	}
	g := &gateway{
		redis:    client,
		sessions: newSessions(client),
		frames:   newPublisher(client),
		upgrader: websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024, CheckOrigin: anyOrigin},
		reusable: os.Getenv("AUTH_TOKEN_MODE") == "reusable",
	}
	listener, err := net.Listen("tcp", setting("LISTEN_ADDR", "127.0.0.1:8080"))
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening on %s", listener.Addr())
	log.Fatal(http.Serve(corkingListener{listener}, g))
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func anyOrigin(*http.Request) bool { return true }

// ServeHTTP answers 101 only when the token was right and the session's channel is subscribed.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	match := sessionURL.FindStringSubmatch(r.URL.Path)
	if match == nil {
		http.NotFound(w, r)
		return
	}
	id := match[1]
	allowed, err := g.isAllowed(r.Context(), id, r.Header.Get("Authorization"))
	if err != nil {
		http.Error(w, "redis", http.StatusServiceUnavailable)
		return
	}
	if !allowed {
		http.Error(w, "token", http.StatusForbidden)
		return
	}
	s := newSocket()
	leave, err := g.sessions.join(r.Context(), "session:"+id+":down", s)
	if err != nil {
		http.Error(w, "redis", http.StatusServiceUnavailable)
		return
	}
	connection, err := g.upgrader.Upgrade(w, r, nil)
	if err != nil {
		leave()
		return // the upgrader has answered
	}
	s.serve(connection, func(frame []byte) { g.frames.publish("session:"+id+":up", frame) }, leave)
}

// isAllowed compares the bearer token with the one in Redis, which is good for one connection
// unless AUTH_TOKEN_MODE=reusable.
func (g *gateway) isAllowed(ctx context.Context, id, authorization string) (bool, error) {
	token, isBearer := strings.CutPrefix(authorization, "Bearer ")
	if !isBearer {
		return false, nil
	}
	ask := g.redis.GetDel
	if g.reusable {
		ask = g.redis.Get
	}
	expected, err := ask(ctx, "session:"+id+":auth").Result()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return err == nil && subtle.ConstantTimeCompare([]byte(expected), []byte(token)) == 1, err
}
