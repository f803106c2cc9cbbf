import { addressOf } from '../../addresses.ts';
import { datasets } from '../../api/requests.ts';
import { Empty } from '../../components/empty.tsx';
import { Heads } from '../../components/heads.tsx';
import { Link } from '../../components/link.tsx';
import { More } from '../../components/more.tsx';
import { Page } from '../../components/page.tsx';
import { Scroll } from '../../components/scroll.tsx';
import { Shown } from '../../components/shown.tsx';
import { bytes, count, time } from '../../format.ts';
import { refresh, useKnown } from '../../store/known.ts';
import { Upload } from './upload.tsx';

export function DataList() {
  const known = useKnown(datasets());
  return (
    <Page title="Data">
      <Upload />
      <Shown known={known} retry={() => refresh(datasets())}>
        {(list) =>
          list.data.length === 0 ? (
            <Empty title="There are no files yet.">
              <p>A file has a text and a label in each row: JSONL, or CSV with the header “text,label”.</p>
            </Empty>
          ) : (
            <div class="card">
              <Scroll>
                <table>
                  <Heads
                    columns={[
                      'File',
                      ['Rows', 'number'],
                      ['Size', 'number narrow-hide'],
                      ['Id', 'narrow-hide'],
                      ['Uploaded', 'narrow-hide'],
                    ]}
                  />
                  <tbody>
                    {list.data.map((file) => (
                      <tr key={file.id}>
                        <th scope="row">
                          <Link to={addressOf('data', file.id)}>{file.filename}</Link>
                        </th>
                        <td class="number">{count(file.examples)}</td>
                        <td class="number narrow-hide">{bytes(file.bytes)}</td>
                        <td class="mono small narrow-hide">{file.id}</td>
                        <td class="nowrap narrow-hide">{time(file.created_at)}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </Scroll>
              <More of={datasets()} list={list} />
            </div>
          )
        }
      </Shown>
    </Page>
  );
}
