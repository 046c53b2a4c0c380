// The Kubernetes objects that the page shows, as far as it reads them.

export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  annotations?: Record<string, string>;
}

export interface KubeObject {
  metadata: ObjectMeta;
}

export interface ObjectCondition {
  type: string;
  status: string;
  reason: string;
  message: string;
}

export interface HostBinding {
  hostIP?: string;
  hostPort?: string;
}

export interface LastAction {
  action: string;
  state: string;
  error?: string;
  completedAt: string;
}

export interface Container extends KubeObject {
  status?: {
    name: string;
    namespace?: string;
    imageName?: string;
    image?: string;
    labels?: Record<string, string>;
    status: string;
    exitCode?: number;
    error?: string;
    createdAt?: string;
    startedAt?: string;
    finishedAt?: string;
    ports?: { name: string; bindings?: HostBinding[] }[];
    conditions?: ObjectCondition[];
    lastAction?: LastAction;
  };
}

export interface ImageObject extends KubeObject {
  status?: {
    id?: string;
    repoTag?: string;
    createdAt?: string;
    size?: number;
    architecture?: string;
    os?: string;
    conditions?: ObjectCondition[];
  };
}

export interface VolumeObject extends KubeObject {
  status?: {
    name?: string;
    driver?: string;
    mountpoint?: string;
    createdAt?: string;
    conditions?: ObjectCondition[];
  };
}

export interface AppObject extends KubeObject {
  spec?: { running?: boolean; namespace?: string; containerEngine?: { name?: string } };
  status?: { conditions?: ObjectCondition[] };
}

export const CONTAINERS_PATH = '/apis/containers.rancherdesktop.io/v1alpha1';
export const APP_PATH = '/apis/app.rancherdesktop.io/v1alpha1/apps/app';
export const ACTION_ANNOTATION = 'containers.rancherdesktop.io/action';
const PROJECT_LABEL = 'com.docker.compose.project';
const SERVICE_LABEL = 'com.docker.compose.service';

export const actionNames = ['start', 'stop', 'restart', 'pause', 'unpause'] as const;
export type ActionName = (typeof actionNames)[number];

export function projectOf(container: Container): string {
  return container.status?.labels?.[PROJECT_LABEL] ?? '';
}

export function serviceOf(container: Container): string {
  return container.status?.labels?.[SERVICE_LABEL] ?? '';
}

/** Returns the actions that make sense in a state, in the order of their buttons. */
export function possibleActions(state: string): ActionName[] {
  switch (state) {
    case 'running':
      return ['stop', 'restart', 'pause'];
    case 'paused':
      return ['unpause', 'stop'];
    case 'restarting':
      return ['stop'];
    case 'created':
    case 'exited':
      return ['start'];
    default:
      return [];
  }
}
