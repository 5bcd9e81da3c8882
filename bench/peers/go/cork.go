package main

import (
	"net"
	"sync"
)

// corkingListener accepts connections whose writes can be put off.
type corkingListener struct{ net.Listener }

func (l corkingListener) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &corked{Conn: connection}, nil
}

// corked keeps what is written, from the first call of cork on, until uncork writes it with one
// system call. gorilla/websocket itself writes each message with a call of its own.
type corked struct {
	net.Conn
	mutex   sync.Mutex
	isOn    bool
	waiting []byte
}

func (c *corked) cork() {
	c.mutex.Lock()
	c.isOn = true
	c.mutex.Unlock()
}

func (c *corked) Write(bytes []byte) (int, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if !c.isOn {
		return c.Conn.Write(bytes)
	}
	c.waiting = append(c.waiting, bytes...)
	return len(bytes), nil
}

func (c *corked) uncork() error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.isOn = false
	if len(c.waiting) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.waiting)
	c.waiting = c.waiting[:0]
	return err
}
