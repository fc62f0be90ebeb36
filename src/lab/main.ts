import './styles/tokens.css';
import './styles/base.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { hubToken } from './state/hub-token.svelte.ts';
import { jobs } from './state/jobs.svelte.ts';
import { runners } from './state/runners.svelte.ts';
import { session } from './state/session.svelte.ts';
import { settings } from './state/settings.svelte.ts';

settings.start();
hubToken.start();
runners.start();
jobs.start();
session.start(() => new Worker(new URL('../../workers/engine.worker.ts', import.meta.url), { type: 'module', name: 'engine' }));

const target = document.getElementById('app');
if (!target) throw new Error('index.html has no #app');
mount(App, { target });
