"use strict";
// Drawing: one canvas behind the page, a part of it for each view that is on the screen.

const MAX_BALLS = 32; // whose shade falls on the floor
const SOLID_SEGMENTS = 24, SOLID_RINGS = 6;

const SOLID_VERTEX = `#version 300 es
layout(location=0) in vec4 ball; // unit normal about z, and which end (0 or 1)
layout(location=1) in vec4 start; // place and radius
layout(location=2) in vec4 end;
layout(location=3) in vec3 tint;
uniform mat4 camera;
out vec3 normal, place, colour;
void main() {
  vec3 bone = end.xyz - start.xyz;
  float size = length(bone);
  vec3 z = size > 1e-5 ? bone / size : vec3(0, 1, 0);
  vec3 x = normalize(cross(abs(z.y) < .9 ? vec3(0, 1, 0) : vec3(1, 0, 0), z));
  float slope = clamp((start.w - end.w) / max(size, 1e-3), -.7, .7);
  normal = mat3(x, cross(z, x), z) * ball.xyz;
  place = mix(start.xyz, end.xyz, ball.w) + normal * mix(start.w, end.w, ball.w);
  normal = normalize(normal + z * slope * (1. - abs(ball.z)));
  colour = tint;
  gl_Position = camera * vec4(place, 1);
}`;
const SOLID_FRAGMENT = `#version 300 es
precision highp float;
in vec3 normal, place, colour;
uniform vec3 eye, key;
out vec4 pixel;
void main() {
  vec3 n = normalize(normal), v = normalize(eye - place);
  float light = max(dot(n, key) * .75 + .25, 0.);
  float sky = .5 + .5 * n.y;
  float near = mix(.8, 1., smoothstep(0., .35, place.y));
  float shine = pow(max(dot(n, normalize(key + v)), 0.), 30.) * .14;
  float rim = pow(1. - max(dot(n, v), 0.), 3.) * .16;
  vec3 lit = colour * (.34 + .22 * sky + .62 * light) * near;
  pixel = vec4(lit + shine + rim * sky, 1);
}`;
const FLOOR_VERTEX = `#version 300 es
layout(location=0) in vec2 corner;
uniform mat4 camera;
uniform vec3 middle;
uniform float reach;
out vec3 place;
void main() {
  place = vec3(middle.x + corner.x * reach, 0, middle.z + corner.y * reach);
  gl_Position = camera * vec4(place, 1);
}`;
const FLOOR_FRAGMENT = `#version 300 es
precision highp float;
in vec3 place;
uniform vec3 middle, eye, back, floorTint, gridTint;
uniform float reach, unit;
uniform int count;
uniform vec3 shade; // x and z of a circle and its radius, beyond which nothing is in the shade
uniform vec4 balls[${MAX_BALLS}];
out vec4 pixel;
float lines(vec2 p, float width) {
  vec2 wide = fwidth(p), away = abs(fract(p - .5) - .5);
  vec2 line = 1. - smoothstep(wide * .5 * width, wide * (.5 * width + 1.), away);
  return max(line.x, line.y) * (1. - smoothstep(.15, .45, max(wide.x, wide.y)));
}
void main() {
  vec2 p = place.xz / unit;
  vec3 colour = mix(floorTint, gridTint, max(lines(p * 2., 1.) * .4, lines(p, 1.) * .9));
  float open = 1.;
  float out_of = distance(place.xz, shade.xy) / shade.z;
  for (int i = 0; i < count && out_of < 1.; i++) {
    vec3 to = balls[i].xyz - place;
    float far = dot(to, to), r = balls[i].w;
    open *= 1. - min(.75, 1.1 * max(to.y, 0.) * r * r / (far * sqrt(far)));
  }
  colour *= mix(.42, 1., mix(open, 1., smoothstep(.5, 1., out_of)));
  float away = length(place.xz - middle.xz) / reach;
  pixel = vec4(mix(colour, back, smoothstep(.35, 1., away)), 1);
}`;
const PATH_VERTEX = `#version 300 es
layout(location=0) in vec4 point; // place on the floor and frame
uniform mat4 camera;
out float frame;
void main() {
  frame = point.w;
  gl_Position = camera * vec4(point.xyz, 1);
  gl_Position.z -= .0004 * gl_Position.w;
}`;
const PATH_FRAGMENT = `#version 300 es
precision highp float;
in float frame;
uniform float now;
uniform vec3 past, future;
out vec4 pixel;
void main() { pixel = frame <= now ? vec4(past, 1) : vec4(future, .55); }`;

function makeScene(canvas) {
  const gl = canvas.getContext("webgl2", { antialias: true, alpha: false });
  if (!gl) return null;
  const program = (vertex, fragment) => {
    const made = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(made, shader);
    }
    gl.linkProgram(made);
    if (!gl.getProgramParameter(made, gl.LINK_STATUS) && !gl.isContextLost())
      throw new Error(gl.getProgramInfoLog(made) || "a shader does not compile");
    const places = {};
    return {
      use: () => gl.useProgram(made),
      at: (name) => (places[name] ??= gl.getUniformLocation(made, name)),
    };
  };
  const attribute = (place, size, stride, offset, divisor = 0) => {
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, size, gl.FLOAT, false, stride, offset);
    gl.vertexAttribDivisor(place, divisor);
  };
  const buffer = (values) => {
    const made = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, made);
    if (values) gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    return made;
  };

  const solid = program(SOLID_VERTEX, SOLID_FRAGMENT);
  const ball = ballMesh();
  const solidArray = gl.createVertexArray();
  gl.bindVertexArray(solidArray);
  buffer(ball.points);
  attribute(0, 4, 0, 0);
  const solids = buffer();
  attribute(1, 4, 44, 0, 1);
  attribute(2, 4, 44, 16, 1);
  attribute(3, 3, 44, 32, 1);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, ball.triangles, gl.STATIC_DRAW);

  const floor = program(FLOOR_VERTEX, FLOOR_FRAGMENT);
  const floorArray = gl.createVertexArray();
  gl.bindVertexArray(floorArray);
  buffer(new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]));
  attribute(0, 2, 0, 0);

  const path = program(PATH_VERTEX, PATH_FRAGMENT);
  const pathArrays = new Map();
  const pathOf = (points) => {
    if (!pathArrays.has(points)) {
      pathArrays.set(points, gl.createVertexArray());
      gl.bindVertexArray(pathArrays.get(points));
      buffer(points);
      attribute(0, 4, 0, 0);
    }
    return pathArrays.get(points);
  };

  gl.enable(gl.DEPTH_TEST);
  gl.enable(gl.CULL_FACE);
  gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);

  function clear(colours) {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const width = Math.round(innerWidth * ratio), height = Math.round(innerHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
      canvas.style.width = innerWidth + "px";
      canvas.style.height = innerHeight + "px";
    }
    gl.disable(gl.SCISSOR_TEST);
    gl.clearColor(...colours.back, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.SCISSOR_TEST);
  }

  // box: CSS pixels; camera: {matrix, eye, middle, reach}; figures: {solids, balls, path, frame}
  function draw(box, camera, figures, colours, unit) {
    const ratio = canvas.width / innerWidth;
    const left = Math.round(box.left * ratio), bottom = Math.round((innerHeight - box.bottom) * ratio);
    const size = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    gl.viewport(left, bottom, ...size);
    gl.scissor(left, bottom, ...size);

    floor.use();
    gl.uniformMatrix4fv(floor.at("camera"), false, camera.matrix);
    gl.uniform3fv(floor.at("middle"), camera.middle);
    gl.uniform1f(floor.at("reach"), camera.reach);
    gl.uniform1f(floor.at("unit"), unit);
    gl.uniform3fv(floor.at("back"), colours.back);
    gl.uniform3fv(floor.at("floorTint"), colours.floor);
    gl.uniform3fv(floor.at("gridTint"), colours.grid);
    const balls = lowest(figures.flatMap((figure) => figure.balls));
    const [x, z] = [0, 2].map((axis) => balls.reduce((sum, ball) => sum + ball[axis], 0) / balls.length);
    const wide = Math.max(...balls.map((ball) => Math.hypot(ball[0] - x, ball[2] - z) + 12 * ball[3]));
    gl.uniform1i(floor.at("count"), balls.length);
    gl.uniform4fv(floor.at("balls"), balls.flat());
    gl.uniform3f(floor.at("shade"), x, z, wide);
    gl.disable(gl.CULL_FACE);
    gl.bindVertexArray(floorArray);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);

    path.use();
    gl.enable(gl.BLEND);
    gl.depthMask(false);
    gl.uniformMatrix4fv(path.at("camera"), false, camera.matrix);
    for (const figure of figures) {
      gl.uniform1f(path.at("now"), figure.frame);
      gl.uniform3fv(path.at("past"), figure.tint ?? colours.past);
      gl.uniform3fv(path.at("future"), figure.tint ?? colours.path);
      gl.bindVertexArray(pathOf(figure.path));
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, figure.path.length / 4);
    }
    gl.disable(gl.BLEND);
    gl.depthMask(true);

    solid.use();
    gl.enable(gl.CULL_FACE);
    gl.uniformMatrix4fv(solid.at("camera"), false, camera.matrix);
    gl.uniform3fv(solid.at("eye"), camera.eye);
    gl.uniform3fv(solid.at("key"), camera.key);
    gl.bindVertexArray(solidArray);
    gl.bindBuffer(gl.ARRAY_BUFFER, solids);
    for (const figure of figures) {
      gl.bufferData(gl.ARRAY_BUFFER, figure.solids, gl.STREAM_DRAW);
      gl.drawElementsInstanced(
        gl.TRIANGLES, ball.triangles.length, gl.UNSIGNED_SHORT, 0, figure.solids.length / 11);
    }
  }
  return { clear, draw, gl };
}

const lowest = (balls) => balls.sort((one, other) => one[1] - other[1]).slice(0, MAX_BALLS);

// A unit ball about z, cut at its equator: the lower half goes to a solid's start, the upper to its end.
function ballMesh() {
  const points = [], triangles = [];
  for (const end of [0, 1])
    for (let ring = 0; ring <= SOLID_RINGS; ring++) {
      const angle = ((ring / SOLID_RINGS - 1 + end) * Math.PI) / 2;
      for (let i = 0; i < SOLID_SEGMENTS; i++) {
        const around = (2 * Math.PI * i) / SOLID_SEGMENTS, r = Math.cos(angle);
        points.push(r * Math.cos(around), r * Math.sin(around), Math.sin(angle), end);
      }
    }
  for (let ring = 0; ring < 2 * SOLID_RINGS + 1; ring++)
    for (let i = 0; i < SOLID_SEGMENTS; i++) {
      const a = ring * SOLID_SEGMENTS + i, b = ring * SOLID_SEGMENTS + ((i + 1) % SOLID_SEGMENTS);
      triangles.push(a, b, b + SOLID_SEGMENTS, a, b + SOLID_SEGMENTS, a + SOLID_SEGMENTS);
    }
  return { points: new Float32Array(points), triangles: new Uint16Array(triangles) };
}
