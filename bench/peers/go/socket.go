package main

import (
	"net"

	"github.com/gorilla/websocket"
)

// queue is how many messages may wait for one socket. A socket with more of them is cut off.
const queue = 1024

// message is a payload, and its frame when that is shared.
type message struct {
	payload  []byte
	prepared *websocket.PreparedMessage
}

func (m message) writeTo(connection *websocket.Conn) error {
	if m.prepared != nil {
		return connection.WritePreparedMessage(m.prepared)
	}
	return connection.WriteMessage(websocket.TextMessage, m.payload)
}

type socket struct {
	messages chan message
	cut      chan struct{}
}

func newSocket() *socket {
	return &socket{messages: make(chan message, queue), cut: make(chan struct{}, 1)}
}

// send never waits, because the subscriber calls it for all sockets.
func (s *socket) send(what message) {
	select {
	case s.messages <- what:
	default:
		select {
		case s.cut <- struct{}{}:
		default:
		}
	}
}

// serve returns when either side has ended the connection.
func (s *socket) serve(connection *websocket.Conn, publish func([]byte), leave func()) {
	ended := make(chan struct{})
	go s.write(connection, ended)
	for {
		kind, bytes, err := connection.ReadMessage()
		if err != nil {
			break
		}
		if kind == websocket.TextMessage {
			publish(bytes)
		}
	}
	leave()
	close(ended)
	connection.Close()
}

// write sends what waits with one system call. It closes the connection of a socket that is cut
// off, which ends the reader too.
func (s *socket) write(connection *websocket.Conn, ended <-chan struct{}) {
	defer connection.Close()
	for {
		select {
		case first := <-s.messages:
			if s.writeAll(connection, first) != nil {
				return
			}
		case <-s.cut:
			return
		case <-ended:
			return
		}
	}
}

func (s *socket) writeAll(connection *websocket.Conn, first message) error {
	raw, isCorked := connection.NetConn().(interface {
		net.Conn
		cork()
		uncork() error
	})
	if !isCorked {
		return first.writeTo(connection)
	}
	raw.cork()
	err := first.writeTo(connection)
	for waiting := len(s.messages); waiting > 0 && err == nil; waiting-- {
		err = (<-s.messages).writeTo(connection)
	}
	if failed := raw.uncork(); err == nil {
		err = failed
	}
	return err
}
