#!/usr/bin/env -S node --max-semi-space-size=4
'use strict'
// A small young generation keeps garbage collections short (bench/NOTES.md). Both files are parsed
// one after the other, so an old Node reads only the first.
require('./node-version.cjs')
require('./main.cjs')
