package main

import (
	"context"
	"errors"
	"log"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/redis/go-redis/v9"
)

const retry = 50 * time.Millisecond

// session is a channel with its sockets. The first socket subscribes, the others wait for it.
type session struct {
	subscribed chan struct{}
	sockets    map[*socket]struct{}
}

// sessions owns the one subscriber of Redis.
type sessions struct {
	pubsub    *redis.PubSub
	mutex     sync.RWMutex
	byChannel map[string]*session
}

func newSessions(client *redis.Client) *sessions {
	s := &sessions{pubsub: client.Subscribe(context.Background()), byChannel: map[string]*session{}}
	go s.feed()
	return s
}

// join returns when the channel is subscribed, with the function that leaves it.
func (s *sessions) join(ctx context.Context, channel string, one *socket) (func(), error) {
	joined, err := s.enter(channel, one)
	leave := func() { s.leave(channel, one) }
	if err == nil {
		select {
		case <-joined.subscribed:
			return leave, nil
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	leave()
	return nil, err
}

// enter sends SUBSCRIBE under the lock, so that it cannot overtake an UNSUBSCRIBE.
func (s *sessions) enter(channel string, one *socket) (*session, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if known, isKnown := s.byChannel[channel]; isKnown {
		known.sockets[one] = struct{}{}
		return known, nil
	}
	fresh := &session{subscribed: make(chan struct{}), sockets: map[*socket]struct{}{one: {}}}
	s.byChannel[channel] = fresh
	return fresh, s.pubsub.Subscribe(context.Background(), channel)
}

func (s *sessions) leave(channel string, one *socket) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	left := s.byChannel[channel]
	delete(left.sockets, one)
	if len(left.sockets) > 0 {
		return
	}
	delete(s.byChannel, channel)
	if err := s.pubsub.Unsubscribe(context.Background(), channel); err != nil {
		log.Print(err)
	}
}

// feed hands out what Redis delivers. After an error, go-redis dials and subscribes again.
func (s *sessions) feed() {
	ctx := context.Background()
	for {
		received, err := s.pubsub.Receive(ctx)
		switch {
		case errors.Is(err, redis.ErrClosed):
			return
		case err != nil:
			time.Sleep(retry)
			continue
		}
		switch what := received.(type) {
		case *redis.Subscription:
			s.confirm(what)
		case *redis.Message:
			s.deliver(what.Channel, what.Payload)
		}
	}
}

func (s *sessions) confirm(what *redis.Subscription) {
	if what.Kind != "subscribe" {
		return
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if confirmed, isKnown := s.byChannel[what.Channel]; isKnown {
		select {
		case <-confirmed.subscribed: // again after an outage
		default:
			close(confirmed.subscribed)
		}
	}
}

// deliver encodes the frame once when several sockets get it.
func (s *sessions) deliver(channel, payload string) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	receivers, isKnown := s.byChannel[channel]
	if !isKnown {
		return
	}
	what := message{payload: []byte(payload)}
	if len(receivers.sockets) > 1 {
		prepared, err := websocket.NewPreparedMessage(websocket.TextMessage, what.payload)
		if err != nil {
			log.Print(err)
			return
		}
		what.prepared = prepared
	}
	for one := range receivers.sockets {
		one.send(what)
	}
}
