package main

import (
	"context"
	"log"

	"github.com/redis/go-redis/v9"
)

// atOnce is the most frames of one pipeline.
const atOnce = 512

type frame struct {
	channel string
	payload []byte
}

// publisher sends what clients say to Redis, in order: what waits goes out in one pipeline.
type publisher struct {
	redis  *redis.Client
	frames chan frame
}

func newPublisher(client *redis.Client) *publisher {
	p := &publisher{redis: client, frames: make(chan frame, atOnce)}
	go p.run()
	return p
}

func (p *publisher) publish(channel string, payload []byte) {
	p.frames <- frame{channel, payload}
}

func (p *publisher) run() {
	ctx := context.Background()
	for first := range p.frames {
		pipeline := p.redis.Pipeline()
		pipeline.Publish(ctx, first.channel, first.payload)
		for waiting := min(len(p.frames), atOnce-1); waiting > 0; waiting-- {
			next := <-p.frames
			pipeline.Publish(ctx, next.channel, next.payload)
		}
		if _, err := pipeline.Exec(ctx); err != nil {
			log.Print(err)
		}
	}
}
