/** Ways to ask an adapter from elsewhere. The key is a variable in each: no page shows it. */
export function snippetsOf(id: string, origin: string): { name: string; code: string }[] {
  const body = JSON.stringify({ model: id, input: 'You won!' });
  return [
    {
      name: 'curl',
      code: [
        `curl -s ${origin}/v1/classify \\`,
        `  -H "Authorization: Bearer $WEFT_API_KEY" -H 'Content-Type: application/json' \\`,
        `  -d '${body}'`,
      ].join('\n'),
    },
    { name: 'CLI', code: `npx weft classify ${id} 'You won!'` },
    {
      name: 'JavaScript',
      code: [
        `const response = await fetch('${origin}/v1/classify', {`,
        `  method: 'POST',`,
        `  headers: { authorization: \`Bearer \${process.env.WEFT_API_KEY}\`, 'content-type': 'application/json' },`,
        `  body: JSON.stringify({ model: '${id}', input: 'You won!' }),`,
        `});`,
        `const { data } = await response.json();`,
      ].join('\n'),
    },
    {
      name: 'Python',
      code: [
        `import os, requests`,
        ``,
        `response = requests.post(`,
        `    '${origin}/v1/classify',`,
        `    headers={'Authorization': f"Bearer {os.environ['WEFT_API_KEY']}"},`,
        `    json={'model': '${id}', 'input': 'You won!'},`,
        `)`,
        `data = response.json()['data']`,
      ].join('\n'),
    },
  ];
}
