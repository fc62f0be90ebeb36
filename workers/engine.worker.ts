import { expose } from 'comlink';
import { EngineHost } from '../src/lab/engine-host.ts';
import { browserEnvironment } from './browser-environment.ts';

expose(new EngineHost(browserEnvironment()));
